"""Smart keypoints and rectangles: the head that a reader points at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from annotator.geometry import box_iou, ellipse_to_box_xyxy
from annotator.schema import BoxXyxy, Ellipse, Prompt, PromptPoint
from backends.embedded.framing import Gray
from backends.embedded.head import HeadOutline, Map, outline_head
from backends.embedded.model import EmbeddedModel, HeadReading

_THRESHOLDS = (0.5, 0.3, 0.15, 0.7)
_PADDING = 0.25  # of the rectangle's sides: the network wants to see what lies around the skull
_LEAST_BOX_IOU = 0.5
_SILENCED_SHARE = 0.12  # radius around a negative click, of the frame's shorter side


def head_at_prompt(model: EmbeddedModel, gray: Gray, prompt: Prompt) -> HeadOutline | None:
    """The best outline that holds every positive point, no negative one, and fills the rectangle; else None."""
    corner, window = _window(gray, prompt.box_xyxy)
    if window.size == 0:
        return None
    reading = model.read_head(window)
    fitting = []
    for outline in _candidates(reading, window, prompt.points, corner):
        if answers(outline.ellipse, prompt):
            fitting.append(outline)
    return max(fitting, key=lambda outline: outline.agreement, default=None)


def answers(ellipse: Ellipse, prompt: Prompt) -> bool:
    """Tell whether an ellipse in frame pixels does what the prompt asks."""
    if any(contains(ellipse, point) != point.positive for point in prompt.points):
        return False
    return prompt.box_xyxy is None or box_iou(ellipse_to_box_xyxy(ellipse), prompt.box_xyxy) >= _LEAST_BOX_IOU


def contains(ellipse: Ellipse, point: PromptPoint) -> bool:
    """Tell whether a point lies inside an ellipse."""
    dx, dy, angle = point.x - ellipse.cx, point.y - ellipse.cy, np.deg2rad(ellipse.angle_deg)
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return bool((along / ellipse.rx) ** 2 + (across / ellipse.ry) ** 2 <= 1)


def _window(gray: Gray, box: BoxXyxy | None) -> tuple[tuple[int, int], Gray]:
    """The padded part of the frame under the rectangle, with its top-left corner; the whole frame without one."""
    if box is None:
        return (0, 0), gray
    pad_x, pad_y = _PADDING * (box[2] - box[0]), _PADDING * (box[3] - box[1])
    left, top = max(int(box[0] - pad_x), 0), max(int(box[1] - pad_y), 0)
    right, bottom = max(int(np.ceil(box[2] + pad_x)), 0), max(int(np.ceil(box[3] + pad_y)), 0)
    return (left, top), gray[top:bottom, left:right]


def _candidates(
    reading: HeadReading, window: Gray, points: tuple[PromptPoint, ...], corner: tuple[int, int]
) -> Iterator[HeadOutline]:
    """Outlines at several thresholds, of the map as it is and with the surroundings of negative points silenced."""
    frame_wh = window.shape[1], window.shape[0]
    maps = [reading.probability]
    if any(not point.positive for point in points):
        maps.append(_silenced(reading, frame_wh, points, corner))
    for probability in maps:
        for threshold in _THRESHOLDS:
            outline = outline_head(probability, reading.grid, frame_wh, threshold)
            if outline is not None:
                moved = {"cx": outline.ellipse.cx + corner[0], "cy": outline.ellipse.cy + corner[1]}
                yield HeadOutline(outline.ellipse.model_copy(update=moved), outline.agreement)


def _silenced(
    reading: HeadReading, frame_wh: tuple[int, int], points: tuple[PromptPoint, ...], corner: tuple[int, int]
) -> Map:
    """The map with its probability taken away around the negative points."""
    width, height = reading.grid.size_wh
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    radius = _SILENCED_SHARE * min(frame_wh) * float(reading.grid.matrix[0, 0])
    keep = np.ones((height, width), np.float32)
    for point in (point for point in points if not point.positive):
        centre = reading.grid.to_grid(np.array([[point.x - corner[0], point.y - corner[1]]]))[0]
        keep *= np.hypot(x - centre[0], y - centre[1]) > radius
    return np.asarray(reading.probability * keep, np.float32)

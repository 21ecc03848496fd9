"""Writes findings, views and interpretations as a model would answer: the exact inverse of `parsing`.

Training conversations are made of these texts. They are what `json.dumps` writes with its usual separators, which
is what FADA's checkpoints learnt and what constrained decoding forces.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.geometry import mask_to_edge_rings, rle_to_mask
from annotator.schema import BoxXyxy, Finding, Interpretation, MaskRle
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Phase
from backends.parsing.geometry import FULL
from backends.parsing.issues import clean_text
from backends.schemas import MOST_POINTS

Points = NDArray[np.int64]


def interpretation_to_text(interpretation: Interpretation) -> str:
    """Write the eight fields in their order.

    >>> interpretation_to_text(Interpretation(anatomical_structures="skull"))[:36]
    '{"anatomical_structures": "skull", "'
    """
    return _dumps({name: clean_text(getattr(interpretation, name)) for name in INTERPRETATION_FIELDS})


def view_to_text(view: str) -> str:
    """Write a view.

    >>> view_to_text("Femur")
    '{"label": "Femur"}'
    """
    return _dumps({"label": view})


def findings_to_text(
    findings: Iterable[Finding],
    phase: Phase,
    size_wh: tuple[int, int],
    *,
    box_key: str = "bbox_2d",
    max_points: int = MOST_POINTS,
) -> str:
    """Write findings as the answer to DETECT, SEGMENT or KEYPOINTS about a frame of `size_wh`.

    Coordinates are rounded to the grid of 0..1000, half a unit off at most. SEGMENT leaves out findings without a
    mask and writes the outline of the largest part of each mask, holes filled, with at most `max_points` corners:
    the format has room for one outline. KEYPOINTS leaves out findings without points.
    """
    return _dumps([_item(one, phase, size_wh, box_key, max_points) for one in findings if _belongs(one, phase)])


def _belongs(finding: Finding, phase: Phase) -> bool:
    if phase is Phase.SEGMENT:
        return finding.mask_rle is not None and bool(rle_to_mask(finding.mask_rle).any())
    return bool(finding.keypoints) if phase is Phase.KEYPOINTS else True


def _item(
    finding: Finding, phase: Phase, size_wh: tuple[int, int], box_key: str, max_points: int
) -> dict[str, Any]:
    may_be_thin = phase is Phase.KEYPOINTS
    item: dict[str, Any] = {
        box_key: box_to_norm(finding.box_xyxy, size_wh, may_be_thin=may_be_thin),
        "label": finding.structure,
    }
    if phase is Phase.SEGMENT and finding.mask_rle is not None:
        item["mask"] = outline_norm(finding.mask_rle, max_points).tolist()
    if phase is Phase.KEYPOINTS:
        item["keypoints"] = [
            [_to_norm(point.x, size_wh[0]), _to_norm(point.y, size_wh[1]), point.visibility]
            for point in finding.keypoints
        ]
    return item


def box_to_norm(box: BoxXyxy, size_wh: tuple[int, int], *, may_be_thin: bool = False) -> list[int]:
    """Round a box in pixels to integers of 0..1000, never to nothing unless `may_be_thin`.

    >>> box_to_norm((64.0, 48.0, 320.0, 480.0), (640, 480))
    [100, 100, 500, 1000]
    """
    x_min, x_max = _interval_to_norm(box[0], box[2], size_wh[0], may_be_thin)
    y_min, y_max = _interval_to_norm(box[1], box[3], size_wh[1], may_be_thin)
    return [x_min, y_min, x_max, y_max]


def _interval_to_norm(low: float, high: float, side: int, may_be_thin: bool) -> tuple[int, int]:
    start, stop = _to_norm(low, side), _to_norm(high, side)
    if start < stop or may_be_thin:
        return start, stop
    start = min(max(math.floor(low * FULL / side), 0), FULL - 1)
    return start, start + 1


def _to_norm(value: float, side: int) -> int:
    return min(max(round(value * FULL / side), 0), FULL)


def outline_norm(mask_rle: MaskRle, max_points: int = MOST_POINTS) -> Points:
    """Outline the largest part of a mask that is not empty: (N, 2) integers of 0..1000, 3 <= N <= max_points.

    The outline follows the pixel edges and is simplified (Douglas-Peucker) no further than `max_points` asks. What
    does not stay a simple polygon on the grid, such as a speck, becomes its box.
    """
    from shapely import Polygon

    height, width = mask_rle.size_hw
    rings, _ = mask_to_edge_rings(_largest_part(rle_to_mask(mask_rle)))
    ring = max(rings, key=lambda corners: cv2.contourArea(corners.astype(np.float32)))
    ring_norm = (ring * FULL / [width, height]).astype(np.float32)
    for tolerance in np.geomspace(1.0, FULL, 40):
        points = _on_grid(np.asarray(cv2.approxPolyDP(ring_norm, float(tolerance), True)[:, 0], np.float32))
        if len(points) < 3:
            break
        if len(points) <= max_points and Polygon(points).is_valid:
            return points
    (x_min, y_min), (x_max, y_max) = ring.min(axis=0), ring.max(axis=0)
    left, top, right, bottom = box_to_norm((x_min, y_min, x_max, y_max), (width, height))
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.int64)


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    largest = 1 + int(np.argmax(figures[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest)


def _on_grid(points: NDArray[np.float32]) -> Points:
    """Round to the grid; points that fall together are one."""
    rounded = np.clip(np.rint(points), 0, FULL).astype(np.int64)
    return np.asarray(rounded[(rounded != np.roll(rounded, 1, axis=0)).any(axis=1)], np.int64)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))

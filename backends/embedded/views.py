"""How steady an answer is: the same frame brighter, darker, cut a little and turned a little, asked again.

Never mirrored or turned over: a frame's orientation is part of what is read from it. A steady answer may still be
wrong; an unsteady one rarely deserves to be left unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import box_iou, dice, rle_to_mask
from annotator.schema import BoxXyxy, Finding, LoadedFrame, Prediction
from backends.embedded.framing import Framing, Gray, to_gray

_GAMMAS = (0.7, 1.4)
_TURNS_AND_ZOOMS = ((6.0, 1.0), (0.0, 1.12))  # degrees, magnification


def disagreement_of_views(predict: Callable[[LoadedFrame], Prediction], loaded: LoadedFrame) -> float:
    """Mean over the views of 1 - agreement (0..1) with the frame as it is."""
    own = predict(loaded)
    gray = to_gray(loaded.pixels)
    costs = [
        1 - _agreement(own, predict(replace(loaded, pixels=view.warp(image))), view) for image, view in _views(gray)
    ]
    return float(np.mean(costs))


def _views(gray: Gray) -> Iterator[tuple[Gray, Framing]]:
    """Each changed image with the map from the frame onto it."""
    size_wh = gray.shape[1], gray.shape[0]
    for gamma in _GAMMAS:
        levels = np.asarray(255 * (np.arange(256) / 255) ** gamma, np.uint8)
        yield levels[gray], _about_the_middle(size_wh, 0.0, 1.0)
    for turn_deg, zoom in _TURNS_AND_ZOOMS:
        yield gray, _about_the_middle(size_wh, turn_deg, zoom)


def _about_the_middle(size_wh: tuple[int, int], turn_deg: float, zoom: float) -> Framing:
    angle, middle = np.deg2rad(turn_deg), np.array(size_wh) / 2
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Framing(np.column_stack((turn, middle - turn @ middle)), size_wh)


def _agreement(own: Prediction, other: Prediction, view: Framing) -> float:
    """Half for the plane, half for the findings: mean overlap of those that either answer holds."""
    same_plane = float(own.plane == other.plane)
    found = {one.structure: one for one in own.findings}
    again = {one.structure: one for one in other.findings}
    overlaps = [_overlap(found.get(name), again.get(name), view) for name in sorted({*found, *again})]
    return 0.5 * same_plane + 0.5 * float(np.mean(overlaps or [1.0]))


def _overlap(own: Finding | None, other: Finding | None, view: Framing) -> float:
    """Dice of masks, IoU of boxes, 0 where one is missing; the own finding is laid onto the view first."""
    if own is None or other is None:
        return 0.0
    if own.mask_rle is not None and other.mask_rle is not None:
        moved: NDArray[np.uint8] = view.warp(rle_to_mask(own.mask_rle).astype(np.uint8) * 255)
        return dice(moved > 127, rle_to_mask(other.mask_rle))
    return box_iou(_moved_box(own.box_xyxy, view), other.box_xyxy)


def _moved_box(box: BoxXyxy, view: Framing) -> BoxXyxy:
    """A box about the moved centre, scaled, cut at the frame; boxes lie along the axes, so it does not turn."""
    zoom = float(np.sqrt(np.linalg.det(view.matrix[:, :2])))
    low, high = np.array(box[:2]), np.array(box[2:])
    centre, half = view.to_grid((low[None] + high) / 2)[0], zoom * (high - low) / 2
    (x_min, y_min), (x_max, y_max) = np.clip((centre - half, centre + half), 0, view.size_wh).tolist()
    return (x_min, y_min, x_max, y_max)

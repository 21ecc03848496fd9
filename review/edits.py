"""How much a correction changed: added path length, Dice and 95th percentile Hausdorff distance, in pixels.

Structures are compared one by one as masks (a box without a mask counts as its filled rectangle), those of one name
taken together. The added path length is what had to be drawn anew (Vaassen et al. 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.geometry import clip_box_xyxy, dice, rle_to_mask
from annotator.schema import Finding

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EditEffort:
    """`apl_px` is a sum over structures; `dice_change` (1 - Dice) and `hd95_change_px` are means over them."""

    apl_px: float
    dice_change: float
    hd95_change_px: float | None


def edit_effort(before: Sequence[Finding], after: Sequence[Finding], size_wh: tuple[int, int]) -> EditEffort | None:
    """Compare outlines before and after correction; None where there are none on either side."""
    old, new = _masks(before, size_wh), _masks(after, size_wh)
    names = sorted({*old, *new})
    if not names:
        return None
    empty = np.zeros(size_wh[::-1], bool)
    pairs = [(old.get(name, empty), new.get(name, empty)) for name in names]
    distances = [hd95_px(first, second) for first, second in pairs if first.any() and second.any()]
    return EditEffort(
        apl_px=float(sum(added_path_px(first, second) for first, second in pairs)),
        dice_change=1.0 - float(np.mean([dice(first, second) for first, second in pairs])),
        hd95_change_px=float(np.mean(distances)) if distances else None,
    )


def added_path_px(before: Mask, after: Mask) -> int:
    """Count the border pixels of `after` that are no border pixels of `before`.

    >>> square = np.zeros((6, 6), bool)
    >>> square[1:4, 1:4] = True
    >>> added_path_px(np.zeros_like(square), square), added_path_px(square, square)
    (8, 0)
    """
    return int(np.count_nonzero(_border(after) & ~_border(before)))


def hd95_px(first: Mask, second: Mask) -> float:
    """Return the 95th percentile of the distances between borders, the larger of both directions."""
    directions = ((_border(first), _border(second)), (_border(second), _border(first)))
    return max(float(np.percentile(_distance_to(goal)[start], 95)) for start, goal in directions)


def _masks(findings: Sequence[Finding], size_wh: tuple[int, int]) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for finding in findings:
        mask = _mask_of(finding, size_wh)
        masks[finding.structure] = masks[finding.structure] | mask if finding.structure in masks else mask
    return masks


def _mask_of(finding: Finding, size_wh: tuple[int, int]) -> Mask:
    if finding.mask_rle is not None:
        return rle_to_mask(finding.mask_rle)
    mask = np.zeros(size_wh[::-1], bool)
    x_min, y_min, x_max, y_max = (round(value) for value in clip_box_xyxy(finding.box_xyxy, size_wh))
    mask[y_min:y_max, x_min:x_max] = True
    return mask


def _border(mask: Mask) -> Mask:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    eroded = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(mask & ~eroded.astype(bool))


def _distance_to(border: Mask) -> NDArray[np.float32]:
    return np.asarray(
        cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32
    )

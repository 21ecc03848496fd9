"""Text burned into a frame: found by a small network, masked black, and how sure that is.

Nothing here reads: a name, a date and a scanner's preset are text alike. Recall is not 1, so that a person looks a
second time (`contact_sheet`) before anything leaves the site.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.deidentify.scan_area import scan_area
from annotator.deidentify.text_network import CELL, text_probability
from annotator.frames.records import Pixels

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]

SMALLEST_SEARCHED, LONGEST_SIDE = 64, 1600
TEXT, GROWN, SUSPECT = 0.5, 0.35, 0.2  # seen for sure; what joins it; what a person should look at
_SMALLEST_CELLS = 2
_PAD_CELLS = 0.5
_NEARLY_FULL = 0.85
_MOST_OF_SCAN = 0.15
_OUTSIDE = 0.2
_UNSURE_STRENGTH, _UNSURE_CELLS = 0.4, 8


@dataclass(frozen=True)
class TextFound:
    """What was found in one frame: the mask (H, W), its boxes (x0, y0, x1, y1), suspected boxes outside of it.

    `reasons` say why a person has to decide; empty where the finding is sure. `scan_share` is the part of the
    scan area that the mask covers.
    """

    mask: Mask
    boxes_xyxy: tuple[Box, ...]
    suspects_xyxy: tuple[Box, ...]
    scan_share: float
    reasons: tuple[str, ...]

    @property
    def suspicion(self) -> float:
        """Larger where a second look is more worth it, for the order on the sheet."""
        return len(self.reasons) + 0.1 * len(self.suspects_xyxy) + self.scan_share


def find_text(pixels: Pixels) -> TextFound:
    """Look for text in a frame, (H, W) gray or (H, W, 3) RGB; one with a side below 64 px is not searched."""
    # The strongest channel: blue text on black is nearly invisible in luminance.
    gray: Pixels = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.max(axis=2))
    if min(gray.shape) < SMALLEST_SEARCHED:
        return TextFound(np.zeros(gray.shape, bool), (), (), 0.0, ())
    scale = min(1.0, LONGEST_SIDE / max(gray.shape))
    size_wh = (max(round(gray.shape[1] * scale), 1), max(round(gray.shape[0] * scale), 1))
    shown = gray if scale == 1.0 else np.asarray(cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    regions = _regions(text_probability(shown), gray.shape, CELL / scale)
    return _judged(gray, regions)


def union_of(found: Sequence[TextFound], pixels: Pixels) -> TextFound:
    """Return what holds for every frame of a cine: overlays stand still, so text seen in one is masked in all."""
    mask = np.logical_or.reduce([one.mask for one in found])
    gray = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    boxes = tuple(dict.fromkeys(box for one in found for box in one.boxes_xyxy))
    suspects = tuple(dict.fromkeys(box for one in found for box in one.suspects_xyxy if not _covers(mask, box)))
    reasons = tuple(dict.fromkeys(reason for one in found for reason in one.reasons))
    return TextFound(mask, boxes, suspects, _share(mask, scan_area(gray)), reasons)


def masked(pixels: Pixels, found: TextFound) -> Pixels:
    """Return the frame with the text black; the very same array where nothing was found."""
    if not found.mask.any():
        return pixels
    clean = pixels.copy()
    clean[found.mask] = 0
    return clean


@dataclass(frozen=True)
class _Region:
    """Connected cells that may be text: the mask that would cover them, within its box."""

    box_xyxy: Box
    cover: Mask
    strength: float
    cells: int


def _regions(probability: NDArray[np.float32], size_hw: tuple[int, ...], cell_px: float) -> list[_Region]:
    """Return the regions, strong or only suspected, padded to the frame's pixels."""
    cells = (probability >= SUSPECT).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=4)
    regions = []
    for label in range(1, count):
        x, y, width, height, _ = stats[label]
        part = np.s_[y : y + height, x : x + width]
        inside = labels[part] == label
        strong = inside & (probability[part] >= GROWN)
        strength = float(probability[part][inside].max())
        regions.append(_padded(strong if strong.any() else inside, (x, y), strength, size_hw, cell_px))
    return regions


def _padded(
    cells: Mask, corner_xy: tuple[int, int], strength: float, size_hw: tuple[int, ...], cell_px: float
) -> _Region:
    """Turn cells into pixels, wider by half a cell for ascenders and ends; a nearly full box becomes full."""
    height, width = cells.shape
    pad = max(1, round(_PAD_CELLS * cell_px))
    left, top = (round(place * cell_px) - pad for place in corner_xy)
    size_wh = (round(width * cell_px) + 2 * pad, round(height * cell_px) + 2 * pad)
    cover = np.zeros(size_wh[::-1], np.uint8)
    inner_wh = (size_wh[0] - 2 * pad, size_wh[1] - 2 * pad)
    cover[pad:-pad, pad:-pad] = cv2.resize(cells.astype(np.uint8), inner_wh, interpolation=cv2.INTER_NEAREST)
    cover = cv2.dilate(cover, np.ones((2 * pad + 1, 2 * pad + 1), np.uint8))
    if cells.mean() >= _NEARLY_FULL:
        cover[:] = 1
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + size_wh[0], size_hw[1]), min(top + size_wh[1], size_hw[0])
    inside = cover[y0 - top : y1 - top, x0 - left : x1 - left].astype(bool)
    return _Region((x0, y0, x1, y1), inside, strength, int(cells.sum()))


def _judged(gray: NDArray[np.uint8], regions: Sequence[_Region]) -> TextFound:
    area = scan_area(gray)
    mask, boxes, suspects, reasons = np.zeros(gray.shape, bool), [], [], []
    for region in regions:
        x0, y0, x1, y1 = region.box_xyxy
        # Beside the scan a mask costs nothing, so a suspicion is enough there.
        needed = SUSPECT if area[y0:y1, x0:x1].mean() < _OUTSIDE else TEXT
        if region.strength < needed or region.cells < _SMALLEST_CELLS:
            suspects.append(region.box_xyxy)
            if region.strength >= _UNSURE_STRENGTH and region.cells >= _UNSURE_CELLS:
                reasons.append("what may be text lies on the scan")
            continue
        mask[y0:y1, x0:x1] |= region.cover
        boxes.append(region.box_xyxy)
    suspects = [box for box in suspects if not _covers(mask, box)]
    share = _share(mask, area)
    if share > _MOST_OF_SCAN:
        reasons.append(f"masking the text would cover {share:.0%} of the scan")
    return TextFound(mask, tuple(boxes), tuple(suspects), share, tuple(dict.fromkeys(reasons)))


def _covers(mask: Mask, box: Box) -> bool:
    x0, y0, x1, y1 = box
    return bool(mask[y0:y1, x0:x1].mean() > 0.9)


def _share(mask: Mask, area: Mask) -> float:
    return float((mask & area).sum() / max(int(area.sum()), 1))

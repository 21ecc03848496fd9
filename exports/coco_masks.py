"""COCO's `segmentation`, polygons or RLE of either kind, -> a mask; nothing in it can crash pycocotools."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from annotator.geometry import Ring, mask_to_rle, polygons_to_mask, rle_area, rle_to_mask
from annotator.schema import MaskRle

LONGEST_OUTLINE = 4_000_000  # pixels; pycocotools keeps five points of 16 bytes for each


def read_mask(
    segmentation: Any, size_wh: tuple[int, int], oddities: Counter[str], *, ours: bool = False
) -> MaskRle | None:
    """Return the mask of a `segmentation`; ValueError says what is wrong with it.

    None where there is none, or where it has no area, unless the file is `ours`.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        rle = mask_to_rle(polygons_to_mask(_read_rings(segmentation, oddities, ours), size_wh))
    elif isinstance(segmentation, dict):
        rle = _read_rle(segmentation, size_wh)
    else:
        raise ValueError("segmentation is neither polygons nor RLE")
    if not rle_area(rle) and not ours:
        oddities["segmentation without area, only the box is kept"] += 1
        return None
    return rle


def _read_rings(polygons: Sequence[Any], oddities: Counter[str], ours: bool) -> list[Ring]:
    rings: list[Ring] = []
    for polygon in polygons:
        ring = np.asarray(polygon, np.float64).reshape(-1, 2)
        within = bool((np.abs(ring) <= LONGEST_OUTLINE).all())  # not so for NaN
        if not within or np.abs(ring - np.roll(ring, 1, axis=0)).sum() > LONGEST_OUTLINE:
            raise ValueError("polygon with coordinates that no image has")
        if len(ring) < 3:
            oddities["polygon of fewer than three points, left out"] += 1
        else:
            rings.append(ring)
            if not ours and _crosses_itself(ring):
                oddities["polygon that crosses or touches itself, filled as pycocotools does"] += 1
    return rings


def _crosses_itself(ring: Ring) -> bool:
    from shapely import Polygon

    return not Polygon(ring).is_valid


def _read_rle(segmentation: Mapping[str, Any], size_wh: tuple[int, int]) -> MaskRle:
    width, height = size_wh
    size, counts = segmentation["size"], segmentation["counts"]
    if size != [height, width]:
        raise ValueError(f"RLE size {repr(size)[:80]} is not the image's [{height}, {width}]")
    if isinstance(counts, str):
        runs = coco_rle_runs(counts)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        runs = counts
    else:
        raise ValueError("RLE counts are neither a string nor whole numbers")
    if sum(runs) != width * height or any(run < 0 for run in runs):
        raise ValueError(f"RLE does not cover the image's {width * height} pixels")
    if not isinstance(counts, str):
        counts = coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)["counts"].decode("ascii")
    rle = MaskRle(size_hw=(height, width), counts=counts)
    # pycocotools gives wrong boxes for runs of no length after the first
    return mask_to_rle(rle_to_mask(rle)) if 0 in runs[1:] else rle


def coco_rle_runs(counts: str) -> list[int]:
    """Return the run lengths of compressed RLE; pycocotools itself crashes on a string that was cut off.

    Five bits a character, least significant first, bit 5 = more follow, bit 4 of the last = sign; from the fourth
    run on, each is stored as the difference to the one two before.

    >>> coco_rle_runs("0120")
    [0, 1, 2, 1]
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts.encode("ascii"):
        code = character - 48
        if not 0 <= code < 64:
            raise ValueError("RLE counts hold a character that is none of theirs")
        value |= (code & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("RLE counts hold a run that no image has")
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("RLE counts were cut off")
    return runs

"""Ten thousand masks through every way in which a mask leaves this tool: brush RLE, COCO RLE, polygons."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as judge

from annotator.geometry import mask_to_edge_rings, mask_to_rle, rle_area, rle_to_box_xyxy, rle_to_mask
from annotator.labelstudio.brush import decode_mask, encode_mask

Mask = NDArray[np.bool_]
COUNT = 10_000


def a_mask_of_kind(kind: int, random: np.random.Generator) -> Mask:
    height, width = (int(side) for side in random.integers(1, 34, 2))
    mask = np.zeros((height, width), bool)
    rows, columns = np.mgrid[:height, :width]
    if kind == 0:  # noise
        return np.asarray(random.random((height, width)) < random.random())
    if kind == 1:  # an outline with a hole
        away = np.hypot(rows - height * random.random(), columns - width * random.random())
        return np.asarray((away < 14 * random.random() + 1) & (away > 8 * random.random()))
    if kind == 2:  # slivers
        mask[int(random.integers(height))] = True
        mask[:, int(random.integers(width))] ^= True
    elif kind == 3:  # along the border, with pixels that touch by a corner only
        mask[[0, -1]] = mask[:, [0, -1]] = True
        mask ^= random.random((height, width)) < 0.05
    elif kind == 4:  # several parts with a ragged edge
        for _ in range(3):
            away = np.hypot(rows - height * random.random(), columns - width * random.random())
            mask |= away + random.normal(0, 0.5, away.shape) < 5
    elif kind == 5:
        return np.asarray((rows + columns) % int(random.integers(2, 4)) == 0)
    else:
        mask[:] = bool(random.integers(2))
    return mask


@cache
def masks() -> list[Mask]:
    random = np.random.default_rng(20)
    return [a_mask_of_kind(number % 7, random) for number in range(COUNT)]


def test_ten_thousand_masks_survive_brush_rle_bit_for_bit() -> None:
    for mask in masks():
        assert np.array_equal(decode_mask(encode_mask(mask), mask.shape[::-1]), mask)


def test_ten_thousand_masks_survive_coco_rle_bit_for_bit() -> None:
    for mask in masks():
        rle = mask_to_rle(mask)
        theirs = judge.encode(np.asfortranarray(mask, np.uint8))
        assert rle.counts.encode() == theirs["counts"]
        assert np.array_equal(rle_to_mask(rle), mask)
        assert rle_area(rle) == np.count_nonzero(mask)
        x, y, width, height = judge.toBbox(theirs).tolist()
        assert rle_to_box_xyxy(rle) == (x, y, x + width, y + height)


def test_ten_thousand_masks_survive_polygons_bit_for_bit() -> None:
    """A reader of COCO takes the union of the rings; of a mask with holes, one that knows of them takes the XOR."""
    without_holes = 0
    for mask in masks():
        rings, has_hole = mask_to_edge_rings(mask)
        parts = judge.frPyObjects([ring.ravel().tolist() for ring in rings], *mask.shape) if rings else []
        drawn = judge.decode(parts).astype(bool) if rings else np.zeros((*mask.shape, 1), bool)
        assert np.array_equal(np.logical_xor.reduce(drawn, axis=2), mask)
        if not has_hole:
            without_holes += 1
            assert np.array_equal(drawn.any(axis=2), mask)
    assert without_holes > COUNT / 3

"""Dice as FADA's evaluation script counts it: outlines filled on a canvas of 1000 x 1000, whatever the frame.

Outlines are in thousandths of the frame, cut to whole numbers, filled by `cv2.fillPoly` one after the other. Only
the part of the canvas that they reach is drawn: the counts are the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from exports.metrics.overlap import Overlap

CANVAS = 1000
Outline = NDArray[np.float64]


def canvas_overlap(truth: Sequence[Outline], said: Sequence[Outline]) -> Overlap:
    """Counts of canvas pixels in the unions of two sets of outlines, each (N, 2) of x, y in 0..1000.

    >>> square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], float)
    >>> canvas_overlap([square], [square + 5])
    Overlap(truth=100, said=100, shared=25)
    """
    first, second = _filled(truth), _filled(said)
    left, top = max(first.left, second.left), max(first.top, second.top)
    right, bottom = min(first.right, second.right), min(first.bottom, second.bottom)
    shared = 0
    if left < right and top < bottom:
        shared = np.count_nonzero(first.within(left, top, right, bottom) & second.within(left, top, right, bottom))
    return Overlap(np.count_nonzero(first.pixels), np.count_nonzero(second.pixels), shared)


class _Part(NamedTuple):
    """Where on the canvas a part of it begins and ends, and its pixels."""

    left: int
    top: int
    right: int
    bottom: int
    pixels: NDArray[np.bool_]

    def within(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
        return self.pixels[top - self.top : bottom - self.top, left - self.left : right - self.left]


_NOWHERE = _Part(0, 0, 0, 0, np.zeros((0, 0), bool))


def _filled(outlines: Sequence[Outline]) -> _Part:
    rings = [ring.astype(np.int32) for ring in outlines if len(ring)]
    if not rings:
        return _NOWHERE
    left, top, width, height = cv2.boundingRect(rings[0] if len(rings) == 1 else np.concatenate(rings))
    right, bottom = min(left + width, CANVAS), min(top + height, CANVAS)
    left, top = max(left, 0), max(top, 0)
    if left >= right or top >= bottom:
        return _NOWHERE
    pixels = np.zeros((bottom - top, right - left), np.uint8)
    for ring in rings:
        cv2.fillPoly(pixels, [ring], 1, offset=(-left, -top))
    return _Part(left, top, right, bottom, pixels.view(np.bool_))

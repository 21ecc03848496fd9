"""Frames of the kind "other". No data set here holds any, so they are made: real texture without its anatomy."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from backends.embedded.framing import Gray
from backends.training.data import Example


def make_negative(examples: Sequence[Example], rng: Generator, size_wh: tuple[int, int]) -> Gray:
    """One frame (H, W) of `size_wh` that shows neither a whole head nor a profile."""
    source = examples[int(rng.integers(len(examples)))]
    kind = rng.random()
    if kind < 0.4:
        image = _patch(source, rng)
    elif kind < 0.65:
        image = _scrambled(source.pixels, rng)
    elif kind < 0.85:
        image = _grain(size_wh, rng)
    else:
        image = _drawing(size_wh, rng)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _patch(source: Example, rng: Generator) -> Gray:
    """A small part of a frame; of ten tries the one that shows least of the head or the boxes."""
    height, width = source.pixels.shape
    known = _anatomy(source)
    best, best_share = source.pixels[: height // 4, : width // 4], 2.0
    for _ in range(10):
        share_h, share_w = rng.uniform(0.2, 0.45, 2)
        top, left = int(rng.uniform(0, (1 - share_h) * height)), int(rng.uniform(0, (1 - share_w) * width))
        window = np.s_[top : top + int(share_h * height), left : left + int(share_w * width)]
        share = float(known[window].mean())
        if share < best_share:
            best, best_share = source.pixels[window], share
    return best


def _anatomy(source: Example) -> Gray:
    """Where the head or the structures are; the middle of the frame where nothing is marked."""
    if source.mask is not None:
        return source.mask
    height, width = source.pixels.shape
    known = np.zeros((height, width), np.uint8)
    if not source.boxes:
        known[height // 8 : -height // 8, width // 8 : -width // 8] = 1
    for x_min, y_min, x_max, y_max in (box.astype(int) for box in source.boxes.values()):
        known[max(y_min, 0) : y_max, max(x_min, 0) : x_max] = 1
    return known


def _scrambled(pixels: Gray, rng: Generator) -> Gray:
    """The frame cut into tiles that are put back in another order, each perhaps flipped."""
    rows, columns = int(rng.integers(3, 7)), int(rng.integers(3, 7))
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    corners = [(row * height, column * width) for row in range(rows) for column in range(columns)]
    tiles = [pixels[top : top + height, left : left + width] for top, left in corners]
    order = rng.permutation(len(tiles))
    flips = rng.random((len(tiles), 2)) < 0.5
    turned = [tiles[i][:: -1 if flips[i, 0] else 1, :: -1 if flips[i, 1] else 1] for i in order]
    return np.vstack([np.hstack(turned[r * columns : (r + 1) * columns]) for r in range(rows)])


def _grain(size_wh: tuple[int, int], rng: Generator) -> Gray:
    """Speckle without anatomy, often within a sector, its brightness drifting slowly."""
    width, height = size_wh
    grain = np.abs(cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), rng.uniform(0.5, 3)))
    drift = cv2.resize(rng.uniform(0, 1, (4, 4)), size_wh, interpolation=cv2.INTER_CUBIC)
    image = grain / grain.mean() * np.clip(drift, 0, 1) * rng.uniform(0, 110)
    if rng.random() < 0.6:
        image = image * _sector(size_wh, rng)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _sector(size_wh: tuple[int, int], rng: Generator) -> Gray:
    width, height = size_wh
    apex = width * rng.uniform(0.35, 0.65), -height * rng.uniform(0.0, 0.6)
    x, y = np.arange(width)[None, :] - apex[0], np.arange(height)[:, None] - apex[1]
    inside = np.abs(np.arctan2(x, y)) < np.deg2rad(rng.uniform(20, 50))
    return np.asarray(inside & (np.hypot(x, y) < height * rng.uniform(1.0, 1.8)), np.uint8)


def _drawing(size_wh: tuple[int, int], rng: Generator) -> Gray:
    """A screen that is no ultrasound: flat, or with boxes, lines and text."""
    width, height = size_wh
    image = np.full((height, width), int(rng.integers(256)), np.uint8)
    for _ in range(int(rng.integers(0, 12))):
        start, end = ((int(rng.integers(width)), int(rng.integers(height))) for _ in range(2))
        shade = int(rng.integers(256))
        if rng.random() < 0.4:
            cv2.rectangle(image, start, end, shade, -1 if rng.random() < 0.5 else 1)
        elif rng.random() < 0.5:
            cv2.line(image, start, end, shade, int(rng.integers(1, 4)))
        else:
            cv2.putText(image, "Report 12", start, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.3, 1.2), shade, 1)
    return image

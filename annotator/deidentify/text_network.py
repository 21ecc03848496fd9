"""The small network that finds text in a frame, run with numpy alone; `backends.training.text_task` taught it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]

CELL = 4
_STEP = 16  # pixels of a cell of the coarsest map
_WEIGHTS = Path(__file__).parent / "weights" / "text.npz"


def two_views(gray: NDArray[np.uint8]) -> Floats:
    """Return what the network sees, (2, H, W): the grays in 0..1, and each pixel against its surroundings."""
    plain = gray.astype(np.float32) / 255
    mean = cv2.GaussianBlur(plain, (0, 0), 6)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(plain * plain, (0, 0), 6) - mean * mean, 0))
    return np.stack([plain, np.clip((plain - mean) / (spread + 0.03), -3, 3) / 3])


def text_probability(gray: NDArray[np.uint8], weights: Weights | None = None) -> Floats:
    """Return for every cell of 4x4 pixels how probable text is: (ceil(H / 4), ceil(W / 4)) in 0..1."""
    weights = weights or _shipped()
    rows, columns = (-(-side // CELL) for side in gray.shape)
    below, beside = -gray.shape[0] % _STEP, -gray.shape[1] % _STEP
    # Zeros around: rows that are repeated would look like text.
    views = two_views(np.pad(gray, ((0, below), (0, beside))))
    fine = _layer(_layer(_unshuffled(views), weights, "fine1"), weights, "fine2")
    middle = _layer(_layer(_pooled(fine), weights, "middle1"), weights, "middle2")
    coarse = _layer(_layer(_pooled(middle), weights, "coarse1"), weights, "coarse2")
    middle = _layer(np.concatenate([_doubled(coarse), middle]), weights, "up_middle")
    fine = _layer(np.concatenate([_doubled(middle), fine]), weights, "up_fine")
    logits = _convolved(fine, weights["head.weight"], weights["head.bias"])[0]
    return np.asarray(1 / (1 + np.exp(-logits[:rows, :columns])), np.float32)


@cache
def _shipped() -> Weights:
    with np.load(_WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _layer(maps: Floats, weights: Weights, name: str) -> Floats:
    return np.maximum(_convolved(maps, weights[f"{name}.weight"], weights[f"{name}.bias"]), 0)


def _convolved(maps: Floats, weight: Floats, bias: Floats) -> Floats:
    """3x3 convolution of (C, H, W), zeros around: nine matrix products over one padded, flattened copy."""
    depth, height, width = maps.shape
    padded = np.zeros((depth, (height + 3) * (width + 2)), np.float32)
    padded[:, : (height + 2) * (width + 2)].reshape(depth, height + 2, width + 2)[:, 1:-1, 1:-1] = maps
    length = height * (width + 2)
    total = np.repeat(bias[:, None], length, axis=1)
    taps = np.ascontiguousarray(weight.transpose(2, 3, 0, 1))  # without, numpy multiplies ten times slower
    for row in range(3):
        for column in range(3):
            start = row * (width + 2) + column
            total += taps[row, column] @ padded[:, start : start + length]
    return total.reshape(-1, height, width + 2)[:, :, :width]


def _unshuffled(views: Floats) -> Floats:
    depth, height, width = views.shape
    cells = views.reshape(depth, height // CELL, CELL, width // CELL, CELL)
    return cells.transpose(0, 2, 4, 1, 3).reshape(depth * CELL * CELL, height // CELL, width // CELL)


def _pooled(maps: Floats) -> Floats:
    depth, height, width = maps.shape
    return np.asarray(maps.reshape(depth, height // 2, 2, width // 2, 2).max(axis=(2, 4)), np.float32)


def _doubled(maps: Floats) -> Floats:
    return maps.repeat(2, axis=1).repeat(2, axis=2)

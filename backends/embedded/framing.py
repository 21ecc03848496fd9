"""Frames onto the fixed grids of the networks, and geometry back again.

A Framing is an affine map from frame pixels to grid pixels, both in the edge convention: pixel i covers [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.schema import Ellipse

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Framing:
    """`matrix` (2, 3) takes frame points to points of a grid of `size_wh`."""

    matrix: NDArray[np.float64]
    size_wh: tuple[int, int]

    def warp(self, image: Gray, flags: int = cv2.INTER_LINEAR) -> Gray:
        """Resample a (H, W) image onto the grid; what lies outside the frame is 0."""
        # cv2 counts from pixel centres, so the map moves by half a pixel on both sides.
        centred = self.matrix.copy()
        centred[:, 2] += centred[:, :2] @ (0.5, 0.5) - 0.5
        return np.asarray(cv2.warpAffine(image, centred, self.size_wh, flags=flags), np.uint8)

    def to_grid(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) frame points to grid points."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2], np.float64)

    def to_frame(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) grid points to frame points."""
        inverse = np.linalg.inv(self.matrix[:, :2])
        return np.asarray((points - self.matrix[:, 2]) @ inverse.T, np.float64)


def to_gray(pixels: NDArray[np.uint8]) -> Gray:
    """(H, W) or (H, W, 3) RGB to (H, W)."""
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def letterbox(frame_wh: tuple[int, int], size_wh: tuple[int, int]) -> Framing:
    """The largest centred copy of the whole frame that fits the grid, aspect kept."""
    scale = min(size_wh[0] / frame_wh[0], size_wh[1] / frame_wh[1])
    offset = [(size - scale * length) / 2 for size, length in zip(size_wh, frame_wh, strict=True)]
    return Framing(np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]]), size_wh)


def around_ellipse(ellipse: Ellipse, size_wh: tuple[int, int], margin: float) -> Framing:
    """The grid turned and scaled so that the ellipse lies along x and takes 1 / `margin` of the width."""
    scale = size_wh[0] / (2.0 * ellipse.rx * margin)
    angle = np.deg2rad(ellipse.angle_deg)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array(size_wh) / 2 - turn @ (ellipse.cx, ellipse.cy)
    return Framing(np.column_stack((turn, shift)), size_wh)


def shrunk(image: Gray, framing: Framing) -> tuple[Gray, Framing]:
    """Average a frame down first where the grid is far coarser, so that bilinear sampling does not alias."""
    factor = float(np.sqrt(abs(np.linalg.det(framing.matrix[:, :2]))))
    if factor > 0.5:
        return image, framing
    height, width = image.shape
    size_wh = max(round(width * 2 * factor), 1), max(round(height * 2 * factor), 1)
    small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    matrix = framing.matrix.copy()
    matrix[:, :2] *= (width / size_wh[0], height / size_wh[1])
    return small, Framing(matrix, framing.size_wh)


def framed(image: Gray, framing: Framing) -> Gray:
    """Resample a frame onto the grid without aliasing."""
    small, finer = shrunk(image, framing)
    return finer.warp(small)

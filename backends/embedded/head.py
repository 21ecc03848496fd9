"""From a head probability map to the one ellipse that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.geometry import ellipse_from_moments
from annotator.schema import Ellipse
from backends.embedded.framing import Framing

Map = NDArray[np.float32]
Parameters = NDArray[np.float64]
Points = NDArray[np.floating[Any]]

_EDGE_PX = 1.5  # softness of the ellipse's edge on the grid, about that of the network's own maps
_STEP = 3  # the network's maps are interpolated from every fourth pixel: more samples would add nothing
_ROUNDS = 8
_STILL = 0.02  # pixels; a smaller step is the last one


@dataclass(frozen=True)
class HeadOutline:
    """The head as an ellipse in frame pixels; `agreement` is its soft Dice (0..1) with the probability map."""

    ellipse: Ellipse
    agreement: float


def outline_head(
    probability: Map, grid: Framing, frame_wh: tuple[int, int], threshold: float = 0.5
) -> HeadOutline | None:
    """Fit the ellipse to the largest region of a grid map (H, W); None where there is no region worth the name."""
    region = largest_region(probability > threshold)
    if region.sum() < 0.002 * probability.size:
        return None
    start = ellipse_from_moments(region)
    if start is None:
        return None
    inside = frame_on_grid(grid, frame_wh)
    fitted = fit_ellipse(np.where(region | (probability <= threshold), probability, 0.0), inside, start)
    return HeadOutline(to_frame(fitted, grid), _agreement(probability, inside, fitted))


def largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part of a (H, W) mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def frame_on_grid(grid: Framing, frame_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) True where the grid shows the frame and not the bars around it."""
    width, height = grid.size_wh
    corners = grid.to_grid(np.array([(0.0, 0.0), frame_wh]))
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    columns = (x > corners[0, 0]) & (x < corners[1, 0])
    return np.asarray(((y > corners[0, 1]) & (y < corners[1, 1]))[:, None] & columns[None, :])


def fit_ellipse(probability: Map, inside: NDArray[np.bool_], start: Ellipse) -> Ellipse:
    """Least squares between a soft-edged ellipse and the map, over the pixels `inside` the frame.

    Unlike moments this is not drawn inwards where the frame cuts the head off. Gauss-Newton with damping
    (Levenberg 1944) over centre, log semi-axes and angle.
    """
    x, y, wanted = _samples(probability, inside)
    parameters = np.array([start.cx, start.cy, np.log(start.rx), np.log(start.ry), np.deg2rad(start.angle_deg)])
    soft, damping = _soft(parameters, x, y), 1e-2
    for _ in range(_ROUNDS):
        slopes, error = _slopes(parameters, soft, x, y), wanted - soft
        normal = slopes.T @ slopes
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), slopes.T @ error)
        moved = parameters + step
        new_soft = _soft(moved, x, y)
        if ((wanted - new_soft) ** 2).sum() < error @ error:
            parameters, soft, damping = moved, new_soft, damping / 5
        else:
            damping *= 10
        if np.abs(step * (1, 1, start.rx, start.ry, start.rx)).max() < _STILL:
            break
    return _as_ellipse(parameters)


def _samples(probability: Map, inside: NDArray[np.bool_]) -> tuple[Points, Points, Parameters]:
    """x, y and the probability at every third pixel of the frame both ways, each (K,)."""
    rows, columns = np.nonzero(inside[::_STEP, ::_STEP])
    values = probability[::_STEP, ::_STEP][rows, columns].astype(np.float64)
    return _STEP * columns + 0.5, _STEP * rows + 0.5, values


def _soft(parameters: Parameters, x: Points, y: Points) -> Parameters:
    """(K,) values 0..1 of the soft ellipse at points; the distance to the edge is taken to first order."""
    cx, cy, log_rx, log_ry, angle = parameters
    rx, ry, cos, sin = np.exp(log_rx), np.exp(log_ry), np.cos(angle), np.sin(angle)
    u, v = ((x - cx) * cos + (y - cy) * sin) / rx, ((y - cy) * cos - (x - cx) * sin) / ry
    radius = np.sqrt(u * u + v * v) + 1e-9
    slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2) / radius + 1e-9
    return np.asarray(0.5 * (1 + np.tanh((1 - radius) / slope / (2 * _EDGE_PX))))


def _slopes(parameters: Parameters, soft: Parameters, x: Points, y: Points) -> Parameters:
    """(K, 5) forward differences of the soft ellipse."""
    steps = np.diag([0.05, 0.05, 1e-3, 1e-3, 1e-3])
    return np.stack([(_soft(parameters + step, x, y) - soft) / step.sum() for step in steps], axis=1)


def _as_ellipse(parameters: Parameters) -> Ellipse:
    cx, cy, log_rx, log_ry, angle = (float(value) for value in parameters)
    rx, ry, angle_deg = float(np.exp(log_rx)), float(np.exp(log_ry)), float(np.rad2deg(angle))
    if ry > rx:
        rx, ry, angle_deg = ry, rx, angle_deg + 90
    return Ellipse(cx=cx, cy=cy, rx=rx, ry=ry, angle_deg=(angle_deg + 90) % 180 - 90)


def to_frame(ellipse: Ellipse, grid: Framing) -> Ellipse:
    """An ellipse of the grid in frame pixels; the grid must be the frame scaled, not turned or flipped."""
    scale = float(grid.matrix[0, 0])
    (cx, cy), *_ = grid.to_frame(np.array([[ellipse.cx, ellipse.cy]]))
    return Ellipse(cx=cx, cy=cy, rx=ellipse.rx / scale, ry=ellipse.ry / scale, angle_deg=ellipse.angle_deg)


def _agreement(probability: Map, inside: NDArray[np.bool_], ellipse: Ellipse) -> float:
    x, y, found = _samples(probability, inside)
    parameters = [ellipse.cx, ellipse.cy, np.log(ellipse.rx), np.log(ellipse.ry), np.deg2rad(ellipse.angle_deg)]
    soft = _soft(np.array(parameters), x, y)
    return float(2 * (soft * found).sum() / (soft.sum() + found.sum() + 1e-9))

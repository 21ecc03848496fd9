"""From the box network's maps to one box per structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.schema import BoxXyxy

STRIDE = 4
Map = NDArray[np.float32]
_REACH = 1  # cells around the hottest one whose boxes are averaged


@dataclass(frozen=True)
class BoxReading:
    """The best box of one structure in grid pixels; `heat` is the logit of its centre."""

    structure: str
    box_xyxy: BoxXyxy
    heat: float


def read_boxes(heat: Map, sides: Map, structures: tuple[str, ...]) -> list[BoxReading]:
    """Take each structure's hottest cell of logits (C, H, W) and the boxes that sides (C, 4, H, W) give around it.

    A first-trimester view shows each structure once, so there is no suppression of overlaps.
    """
    return [_read(heat[index], sides[index], structure) for index, structure in enumerate(structures)]


def _read(heat: Map, sides: Map, structure: str) -> BoxReading:
    row, column = (int(value) for value in np.unravel_index(int(heat.argmax()), heat.shape))
    rows = np.arange(max(row - _REACH, 0), min(row + _REACH + 1, heat.shape[0]))
    columns = np.arange(max(column - _REACH, 0), min(column + _REACH + 1, heat.shape[1]))
    window = np.ix_(rows, columns)
    weight = 1 / (1 + np.exp(-heat[window].astype(np.float64)))
    x, y = (columns[None, :] + 0.5) * STRIDE, (rows[:, None] + 0.5) * STRIDE
    left, top, right, bottom = (side[window].astype(np.float64) for side in sides)
    corners = np.stack((x - left, y - top, x + right, y + bottom))
    x_min, y_min, x_max, y_max = ((weight * corners).sum(axis=(1, 2)) / weight.sum()).tolist()
    return BoxReading(structure, (x_min, y_min, x_max, y_max), float(heat[row, column]))

"""Distances between the boundaries of two masks: HD95, surface Dice, added path length.

The boundary is what a 4-connected erosion takes away, border pixels of the frame included; its pixels are counted,
as MONAI does, not weighed by contour length. HD95 is the larger of the two directed 95th percentiles (MONAI; MedPy
pools both directions instead). Surface Dice: Nikolov et al. 2021. Added path length: Vaassen et al. 2020, the
pixels of the reference's boundary that are not on the prediction's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exports.metrics.ranking import Floats


@dataclass(frozen=True)
class Surfaces:
    """From each boundary pixel of one mask to the nearest of the other; empty where that mask is empty.

    `to_said` starts at the reference, `to_truth` at the prediction; infinite where the other mask is empty. Both in
    the unit of `spacing` (row, column), whose geometric mean is `pixel`.
    """

    to_said: Floats
    to_truth: Floats
    pixel: float

    @property
    def hd95(self) -> float | None:
        """The distance that 95 % of either boundary keep; None where one of the masks is empty."""
        if not (self.to_said.size and self.to_truth.size):
            return None
        return float(max(np.percentile(self.to_said, 95), np.percentile(self.to_truth, 95)))

    def surface_dice(self, tolerance: float) -> float:
        """The share of both boundaries that lies within `tolerance` of the other; 1.0 where both are empty."""
        total = self.to_said.size + self.to_truth.size
        near = np.count_nonzero(self.to_said <= tolerance) + np.count_nonzero(self.to_truth <= tolerance)
        return near / total if total else 1.0

    @property
    def added_path_length(self) -> float:
        """Length of the reference's boundary that a reader had to draw anew."""
        return float(np.count_nonzero(self.to_said > 0) * self.pixel)


def surfaces(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], spacing: tuple[float, float] = (1.0, 1.0)
) -> Surfaces:
    """Measure two (H, W) masks; `spacing` is the size of a pixel, row and column.

    >>> square = np.zeros((9, 9), bool); square[2:7, 2:7] = True
    >>> surfaces(square, np.roll(square, 1, axis=1), (0.5, 0.5)).hd95
    0.5
    """
    first, second = boundary(truth) * spacing, boundary(said) * spacing
    return Surfaces(_nearest(first, second), _nearest(second, first), float(np.sqrt(spacing[0] * spacing[1])))


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(N, 2) rows and columns of the foreground pixels with a neighbour above, below or beside that is none."""
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~inside)


def _nearest(here: NDArray[Any], there: NDArray[Any]) -> Floats:
    if not (len(here) and len(there)):
        return np.full(len(here), np.inf)
    distances, _ = cKDTree(there).query(here)
    return np.asarray(distances, np.float64)

"""Figures that are functions of sums over rows, with 95 % intervals: patients are drawn, the same for all tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Figure = Callable[[Array], Array]
"""From sums (..., columns) to a value (...)."""

RESAMPLES = 1000


@dataclass(frozen=True)
class Sums:
    """What a figure is made of: `columns` (rows, columns) of one data set, the unit of each row, and the figure."""

    units: Sequence[str]
    columns: Array
    figure: Figure

    @property
    def value(self) -> float:
        """The figure of all rows."""
        return float(self.figure(self.columns.sum(axis=0)))


class Draws:
    """1,000 resamples of units; a unit that has rows in several data sets is drawn with all of them.

    >>> draws = Draws(["a", "b", "c"])
    >>> rows = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    >>> drawn = draws.of(Sums(["a", "b", "c"], rows, mean_of))
    >>> drawn.shape, bool(drawn.min() >= 0), bool(drawn.max() <= 1)
    ((1000,), True, True)
    """

    def __init__(self, units: Sequence[str], seed: int = 0) -> None:
        self._places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
        self._seed = seed

    def of(self, sums: Sums) -> Array:
        """The figure in each resample; NaN where a resample has none of its rows."""
        local = {unit: place for place, unit in enumerate(dict.fromkeys(sums.units))}
        totals = np.zeros((len(local), sums.columns.shape[1]))
        np.add.at(totals, [local[unit] for unit in sums.units], sums.columns)
        chosen = self._weights[:, [self._places[unit] for unit in local]]
        return sums.figure(chosen.astype(np.float64) @ totals)

    @cached_property
    def _weights(self) -> NDArray[np.uint16]:
        """How often each unit is drawn, (resamples, units)."""
        random, count = np.random.default_rng(self._seed), len(self._places)
        return random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.uint16)


def interval(drawn: Array) -> list[float] | None:
    """The middle 95 % of what was drawn; None where nothing was."""
    known = drawn[~np.isnan(drawn)]
    return [float(bound) for bound in np.percentile(known, [2.5, 97.5])] if len(known) else None


def mean_over(drawn: Sequence[Array]) -> Array:
    """The mean over data sets in each resample, of those that it has rows of."""
    stacked = np.array(drawn)
    there = (~np.isnan(stacked)).sum(axis=0).astype(np.float64)
    return divided(np.nansum(stacked, axis=0), there)


def divided(above: Array, below: Array) -> Array:
    """A ratio, NaN where it is over 0."""
    ratio: Array = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0)
    return ratio


def mean_of(sums: Array) -> Array:
    """Of (total, count): the mean."""
    return divided(sums[..., 0], sums[..., 1])


def root_mean_of(sums: Array) -> Array:
    """Of (total of squares, count): the root of their mean."""
    return np.asarray(np.sqrt(mean_of(sums)))

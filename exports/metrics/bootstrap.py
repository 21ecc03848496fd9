"""Intervals and paired tests for any figure: whole subjects are drawn, and all figures share the draws."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exports.metrics.cases import Case
from exports.metrics.ranking import Floats, Weights
from exports.text.resampling import Figure, Resampler

SWAPS = 1999
_CHUNK = 100
Statistic = Callable[[Weights], Floats]


class Bootstrap(Resampler):
    """Percentile bootstrap of statistics that are more than a mean, over cases drawn by their unit.

    >>> Bootstrap(["a", "a", "b"]).ratio([1, 0, 2], [1, 1, 2])["value"]
    0.75
    """

    @classmethod
    def of(cls, cases: Sequence[Case], seed: int = 0) -> "Bootstrap":
        """Over the cases in their order."""
        return cls([case.unit for case in cases], seed)

    def weights(self) -> Iterator[Weights]:
        """How often each case counts in each resample, (100, cases) at a time."""
        for drawn in self._draws:
            yield drawn[:, self._places].astype(np.int64)

    def drawn(self, statistic: Statistic) -> Floats:
        """A statistic of weights (S, cases) on all resamples; its first axis is S."""
        return np.concatenate([statistic(weights) for weights in self.weights()])

    def figure(self, value: float | None, drawn: Floats, there: ArrayLike, n: int | None = None) -> Figure:
        """Value, n, subjects, ci95; `there` (cases,) tells which cases take part; n is their number by default."""
        taking_part = np.asarray(there, bool)
        count = int(taking_part.sum()) if n is None else n
        if value is None or np.isnan(drawn).all():
            return {"value": value, "n": count}
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        subjects = len(np.unique(self._places[taking_part]))
        return {"value": float(value), "n": count, "subjects": subjects, "ci95": [float(low), float(high)]}

    def ratio(self, tops: ArrayLike, bottoms: ArrayLike, n: int | None = None) -> Figure:
        """Sum over sum, such as pooled Dice or F1; value None where all bottoms are 0."""
        over, under = self._per_unit_sums(tops), self._per_unit_sums(bottoms)
        drawn = np.concatenate([_over(chunk @ over, chunk @ under) for chunk in self._unit_weights()])
        value = float(over.sum() / under.sum()) if under.sum() else None
        return self.figure(value, drawn, np.asarray(bottoms) > 0, n)

    def quantile(self, values: Sequence[float | None], share: float) -> Figure:
        """The quantile of values, one a case; None where a case has none."""
        given = np.array([np.nan if value is None else value for value in values], np.float64)
        there = np.flatnonzero(~np.isnan(given))
        if not there.size:
            return {"value": None, "n": 0}
        order = there[np.argsort(given[there], kind="stable")]
        drawn = self.drawn(lambda weights: _quantiles(given[order], weights[:, order], share))
        return self.figure(float(np.quantile(given[there], share)), drawn, ~np.isnan(given))

    def paired_ratio(
        self, first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike], n: int | None = None
    ) -> Figure:
        """First ratio - second, each (tops, bottoms) over the same cases; p by swapping the two in whole units."""
        sums = [self._per_unit_sums(one) for pair in (first, second) for one in pair]
        drawn = np.concatenate([_gap(*(chunk @ one for one in sums)) for chunk in self._unit_weights()])
        value = float(_gap(*(one.sum(keepdims=True) for one in sums))[0])
        there = (np.asarray(first[1]) > 0) | (np.asarray(second[1]) > 0)
        figure = self.figure(None if np.isnan(value) else value, drawn, there, n)
        if figure["value"] is not None:
            swapped = [_gap(*_swapped(sums, swap)) for swap in self._swaps()]
            figure["p"] = share_as_far(value, np.concatenate(swapped))
        return figure

    def swaps_of_cases(self) -> Iterator[NDArray[np.bool_]]:
        """(S, cases), True where the two runs change places: for statistics that are no ratio."""
        for swap in self._swaps():
            yield swap[:, self._places]

    def _swaps(self) -> Iterator[NDArray[np.bool_]]:
        random = np.random.default_rng(self._seed + 1)
        for start in range(0, SWAPS, _CHUNK):
            yield random.random((min(_CHUNK, SWAPS - start), self._count)) < 0.5

    def _unit_weights(self) -> Iterator[Floats]:
        for drawn in self._draws:
            yield drawn.astype(np.float64)

    def _per_unit_sums(self, values: ArrayLike) -> Floats:
        return np.asarray(np.bincount(self._places, np.asarray(values, np.float64), self._count), np.float64)


def share_as_far(value: float, swapped: Floats) -> float:
    """Two-sided p of a permutation test: how often chance is as far from 0, the value itself counted once."""
    as_far = np.count_nonzero(np.abs(swapped) >= abs(value) - 1e-12)
    return float((as_far + 1) / (len(swapped) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, step down (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(one) for one in adjusted]


def _swapped(sums: Sequence[Floats], swap: NDArray[np.bool_]) -> list[Floats]:
    top, bottom, other_top, other_bottom = sums
    return [
        np.where(swap, one, two).sum(axis=1)
        for one, two in ((other_top, top), (other_bottom, bottom), (top, other_top), (bottom, other_bottom))
    ]


def _gap(top: Floats, bottom: Floats, other_top: Floats, other_bottom: Floats) -> Floats:
    return _over(top, bottom) - _over(other_top, other_bottom)


def _over(tops: Floats, bottoms: Floats) -> Floats:
    return np.asarray(np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms > 0))


def _quantiles(ascending: Floats, counts: Weights, share: float) -> Floats:
    """(S,) quantiles as numpy's, linear between neighbours, of values that count `counts[s]` times; NaN of none."""
    reached = np.cumsum(counts, axis=1)
    at = share * np.maximum(reached[:, -1] - 1, 0)

    def value_at(place: Floats) -> Floats:
        first_beyond = (reached <= place[:, None]).sum(axis=1)
        return np.asarray(ascending[np.minimum(first_beyond, len(ascending) - 1)])

    low, high = value_at(np.floor(at)), value_at(np.ceil(at))
    return np.where(reached[:, -1] > 0, low + (high - low) * (at - np.floor(at)), np.nan)

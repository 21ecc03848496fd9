"""Means of many scores with 95 % intervals, resampled by subject; the draws are shared, so each costs little."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
_CHUNK = 100

Figure = dict[str, Any]


class Resampler:
    """Percentile bootstrap over units (subjects, else images), each drawn with all of its answers.

    >>> figure = Resampler(["a", "a", "b", "c"]).mean([1.0, 1.0, 0.0, None])
    >>> figure["value"], figure["n"], figure["subjects"]
    (0.6666666666666666, 3, 2)
    """

    def __init__(self, units: Sequence[str], seed: int = 0) -> None:
        names: dict[str, int] = {}
        self._places = np.array([names.setdefault(unit, len(names)) for unit in units], np.intp)
        self._count = len(names)
        self._seed = seed

    def mean(self, scores: Sequence[float | None]) -> Figure:
        """Mean, n, subjects, ci95; scores that are None are left out, value None where all are."""
        return self.mean_of_means([scores])

    def plain_mean(self, scores: Sequence[float | None]) -> float | None:
        """The mean alone; None without a score."""
        sums, counts = self._per_unit(scores)
        return float(sums.sum() / counts.sum()) if counts.any() else None

    def mean_of_means(self, columns: Sequence[Sequence[float | None]]) -> Figure:
        """Unweighted mean of several means, with an interval; columns without a score are left out."""
        parts = [part for part in map(self._per_unit, columns) if part[1].any()]
        if not parts:
            return {"value": None, "n": 0}
        drawn = np.array([self._drawn_means(sums, counts) for sums, counts in parts])
        # A resample may lack a rare kind altogether: it then counts by the others.
        present = (~np.isnan(drawn)).sum(axis=0).astype(np.float64)
        low, high = np.nanpercentile(_means(np.nansum(drawn, axis=0), present), [2.5, 97.5])
        return {
            "value": float(np.mean([sums.sum() / counts.sum() for sums, counts in parts])),
            "n": int(sum(counts.sum() for _, counts in parts)),
            "subjects": int(np.any([counts > 0 for _, counts in parts], axis=0).sum()),
            "ci95": [float(low), float(high)],
        }

    def difference(self, first: Sequence[float | None], second: Sequence[float | None]) -> Figure:
        """Mean of first - second over the pairs that have both; p by flipping the signs of whole units."""
        pairs = zip(first, second, strict=True)
        gaps = [None if a is None or b is None else a - b for a, b in pairs]
        figure = self.mean(gaps)
        if figure["value"] is not None:
            sums, _ = self._per_unit(gaps)
            random = np.random.default_rng(self._seed)
            flipped = [abs(random.choice([-1.0, 1.0], self._count) @ sums) for _ in range(RESAMPLES)]
            as_far = sum(one >= abs(sums.sum()) - 1e-12 for one in flipped)
            figure["p"] = (as_far + 1) / (RESAMPLES + 1)
        return figure

    def _drawn_means(self, sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = map(_as_weights, self._draws)
        return np.concatenate([_means(chosen @ sums, chosen @ counts) for chosen in weights])

    def _per_unit(self, scores: Sequence[float | None]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.array([np.nan if score is None else score for score in scores], np.float64)
        there = ~np.isnan(values)
        places = self._places[there]
        sums, counts = np.zeros(self._count), np.zeros(self._count)
        np.add.at(sums, places, values[there])
        np.add.at(counts, places, 1.0)
        return sums, counts

    @cached_property
    def _draws(self) -> list[NDArray[np.uint8]]:
        """How often each unit is drawn, 100 resamples at a time."""
        random = np.random.default_rng(self._seed)
        shape = (_CHUNK, self._count)
        return [_drawn(random.integers(0, self._count, shape)) for _ in range(RESAMPLES // _CHUNK)]


def _drawn(units: NDArray[np.int64]) -> NDArray[np.uint8]:
    rows, width = units.shape
    flat = units + np.arange(rows)[:, None] * width
    return np.bincount(flat.ravel(), minlength=rows * width).reshape(rows, width).astype(np.uint8)


def _as_weights(draws: NDArray[np.uint8]) -> NDArray[np.float64]:
    return draws.astype(np.float64)


def _means(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)

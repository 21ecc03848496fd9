"""Paired gains: areas under learning curves, what a strategy wins seed by seed, and the labels that it saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError

Values = NDArray[np.float64]
Interval = tuple[float, float]
_RESAMPLES = 4000


class Gain(NamedTuple):
    """A mean difference over paired seeds."""

    mean: float
    interval: Interval
    p: float
    wins: int


def aulc(labels: Sequence[int], values: Sequence[float] | Values) -> float:
    """Area under the learning curve: the integral of the measure over labels / (L_max - L_0), by trapezoids.

    >>> round(aulc([20, 40, 80], [0.5, 0.7, 0.9]), 4)  # (20 x 0.6 + 40 x 0.8) / 60
    0.7333
    """
    if len(labels) != len(values) or len(labels) < 2 or labels[-1] <= labels[0]:
        raise InputError("a learning curve needs at least two rounds with growing numbers of labels")
    return float(np.trapezoid(values, labels) / (labels[-1] - labels[0]))


def gain_over(baseline: Sequence[float] | Values, other: Sequence[float] | Values) -> Gain:
    """Compare two strategies seed by seed: (seeds,) AULC each; ties are no win and p is 1 where all are ties."""
    first, second = np.asarray(baseline, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape or first.size < 2:
        raise InputError("strategies are compared seed by seed: both need the same seeds, at least two")
    difference = second - first
    interval = interval_95(len(difference), lambda rows: difference[rows].mean(axis=-1))
    return Gain(float(difference.mean()), interval, _wilcoxon(difference), int((difference > 0).sum()))


def labels_saved(labels: Sequence[int], baseline: Values, other: Values) -> tuple[float, Interval]:
    """How many labels fewer reach what the worse of the two mean curves (seeds, rounds) ends with, and 95 %.

    Curves count as the best value so far, since more labels can be left unused. Negative where the other strategy
    needs more labels than the baseline.
    """
    grid = np.asarray(labels, np.float64)

    def each(rows: NDArray[np.intp]) -> Values:
        means = (values[rows].mean(axis=-2) for values in (baseline, other))
        first, second = (np.maximum.accumulate(values, axis=-1) for values in means)
        end = np.minimum(first[:, -1], second[:, -1])
        return _labels_to_reach(end, grid, first) - _labels_to_reach(end, grid, second)

    everyone = np.arange(len(baseline))[None]
    return float(each(everyone)[0]), interval_95(len(baseline), each)


def interval_95(count: int, statistic: Callable[[NDArray[np.intp]], Values]) -> Interval:
    """95 % bootstrap interval of `statistic`, which takes row numbers (samples, count) to (samples,).

    Percentiles are moved outwards so that a mean of few values gets the width of Student's interval (Hesterberg
    2015, doi:10.1080/00031305.2015.1089789, "expanded percentile").
    """
    from scipy.stats import norm, t

    rows = np.random.default_rng(0).integers(count, size=(_RESAMPLES, count))
    tail = float(norm.cdf(-np.sqrt(count / (count - 1)) * t.ppf(0.975, count - 1)))
    low, high = np.quantile(statistic(rows), (tail, 1 - tail))
    return (float(low), float(high))


def _wilcoxon(difference: Values) -> float:
    from scipy.stats import wilcoxon

    if not difference.any():
        return 1.0
    sizes = np.abs(difference)
    is_plain = bool(sizes.all()) and len(np.unique(sizes)) == len(sizes)
    # With ties scipy would go through all sign patterns, which takes seconds.
    return float(wilcoxon(difference, zero_method="pratt", method="auto" if is_plain else "asymptotic").pvalue)


def _labels_to_reach(end: Values, labels: Values, curves: Values) -> Values:
    """Where curves (n, rounds) that never fall first reach `end` (n,), which is not above their last value."""
    place = np.argmax(curves >= end[:, None], axis=1)
    before, rows = np.maximum(place - 1, 0), np.arange(len(curves))
    low, high = curves[rows, before], curves[rows, place]
    share = (end - low) / np.where(high > low, high - low, 1.0)
    return np.where(place > 0, labels[before] + share * (labels[place] - labels[before]), labels[0])

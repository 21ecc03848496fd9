"""The bootstrap: clusters are drawn with all their rows, and every statistic is a function of sums over clusters.

A statistic takes an (m, k) array, m resampled totals of k per-row quantities, and returns m values. Totals of all
resamples are one matrix product, so thousands of resamples cost little. Draws depend on the seed and on the number
of clusters alone: figures of the same clusters share their draws, and the order of the rows does not matter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from review.agreement import divided
from review.analysis.figures import LEVEL, Figure, no_figure

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

SEED = 20260101
RESAMPLES = 4000
_CHUNK = 4_000_000
_FEWEST_FINITE = 0.5


@dataclass(frozen=True)
class Clusters:
    """The cluster of each row, numbered from 0, and how many there are."""

    codes: NDArray[np.intp]
    count: int

    @classmethod
    def of(cls, labels: ArrayLike) -> "Clusters":
        """Number the labels in sorted order."""
        codes, names = pd.factorize(np.asarray(labels, dtype=object), sort=True)
        return cls(codes, len(names))

    def sums(self, columns: Floats) -> Floats:
        """Sum (rows, k) quantities to (clusters, k)."""
        per_column = [np.bincount(self.codes, weights=column, minlength=self.count) for column in columns.T]
        return np.stack(per_column, axis=1)


def draws_of(count: int, seed: int = SEED, resamples: int = RESAMPLES) -> Iterator[NDArray[np.uint8]]:
    """Yield (some resamples, clusters) arrays that say how often each cluster was drawn."""
    if count * resamples <= _CHUNK:
        yield _remembered(count, seed, resamples)
        return
    random = np.random.default_rng([seed, count])
    step = max(1, _CHUNK // count)
    for begun in range(0, resamples, step):
        yield _draw(random, min(step, resamples - begun), count)


@lru_cache(maxsize=8)
def _remembered(count: int, seed: int, resamples: int) -> NDArray[np.uint8]:
    return _draw(np.random.default_rng([seed, count]), resamples, count)


def _draw(random: np.random.Generator, resamples: int, count: int) -> NDArray[np.uint8]:
    chosen = random.integers(0, count, (resamples, count)) + np.arange(resamples)[:, None] * count
    often = np.bincount(chosen.ravel(), minlength=resamples * count)
    return np.minimum(often, 255).astype(np.uint8).reshape(resamples, count)


def bootstrap(
    columns: Floats, clusters: Clusters, statistic: Statistic, method: str, *, seed: int = SEED
) -> Figure:
    """BCa interval of a statistic of summed (rows, k) quantities, resampling clusters."""
    n = len(columns)
    if not n:
        return no_figure("no data")
    sums = clusters.sums(columns)
    total = sums.sum(axis=0)
    value = float(statistic(total[None])[0])
    if not np.isfinite(value):
        return no_figure("not defined: the grades do not vary", n, clusters.count)
    if clusters.count < 2:
        return Figure(value, None, None, n, clusters.count, method, "one cluster alone has no interval")
    resampled = np.concatenate(
        [statistic(draws.astype(np.float64) @ sums) for draws in draws_of(clusters.count, seed)]
    )
    left_out = statistic(total - sums)
    interval = bca_interval(value, resampled, left_out)
    if interval is None:
        return Figure(value, None, None, n, clusters.count, method, "no interval: the values do not vary")
    return Figure(value, *interval, n, clusters.count, method)


def percentile_mean(values: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """The mean with its plain percentile interval, as published studies often print it."""
    numbers = np.asarray(values, np.float64)
    sums = clusters.sums(np.column_stack([numbers, np.ones(len(numbers))]))
    means = np.concatenate([ratio(draws.astype(np.float64) @ sums) for draws in draws_of(clusters.count, seed)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    n = len(numbers)
    return Figure(float(numbers.mean()), float(low), float(high), n, clusters.count, percentile_name(clusters, n))


def bca_interval(value: float, resampled: Floats, left_out: Floats) -> tuple[float, float] | None:
    """Bias-corrected and accelerated interval (Efron 1987) from resamples and leave-one-cluster-out values.

    None where the resamples do not vary, or where more than half of them are not defined.
    """
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < _FEWEST_FINITE * len(resampled) or np.ptp(finite) < 1e-12:
        return None
    below = float(np.mean(finite < value - 1e-12) + np.mean(finite <= value + 1e-12)) / 2
    below = min(max(below, 0.5 / len(finite)), 1 - 0.5 / len(finite))
    known = left_out[np.isfinite(left_out)]
    apart = known.mean() - known if known.size else np.zeros(1)
    spread = float((apart**2).sum()) ** 1.5
    acceleration = float((apart**3).sum()) / (6 * spread) if spread > 1e-18 else 0.0
    bias = norm.ppf(below)
    tails = norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shifted = norm.cdf(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(finite, shifted)
    return float(low), float(high)


def ratio(totals: Floats) -> Floats:
    """Statistic: first total over the second; NaN where the second is 0."""
    return divided(totals[:, 0], totals[:, 1])


def mean_figure(values: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """The mean with its BCa interval."""
    numbers = np.asarray(values, np.float64)
    columns = np.column_stack([numbers, np.ones(len(numbers))])
    return bootstrap(columns, clusters, ratio, bca_name(clusters, len(numbers)), seed=seed)


def percentile_name(clusters: Clusters, n: int) -> str:
    """How a percentile interval is called in the report."""
    return "percentile bootstrap" if clusters.count == n else "percentile cluster bootstrap"


def bca_name(clusters: Clusters, n: int) -> str:
    """How the interval is called in the report: plain where every row is its own cluster."""
    return "BCa bootstrap" if clusters.count == n else "BCa cluster bootstrap"

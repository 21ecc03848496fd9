"""Intervals by formula: shares (Wilson, simultaneous multinomial) and means that hold for other readers too."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from review.analysis.figures import LEVEL, Figure, no_figure
from review.analysis.resampling import Clusters

Floats = NDArray[np.float64]
FOR_OTHERS = "random readers and subjects, t (MOVER)"


def effective_n(hits: Floats, clusters: Clusters) -> float:
    """How many independent rows the clustered rows are worth: n over the design effect of the share.

    It is n where every row is its own cluster, and the number of clusters where the rows do not vary.
    """
    n, share = len(hits), float(hits.mean())
    if clusters.count == n:
        return float(n)
    simple = n * share * (1 - share)
    if simple <= 0:
        return float(clusters.count)
    clustered = float((np.bincount(clusters.codes, weights=hits - share) ** 2).sum())
    return n / max(1.0, clustered / simple)


def share_figure(hits: ArrayLike, clusters: Clusters) -> Figure:
    """A share with its Wilson interval, on the effective number of rows where they are clustered.

    >>> share_figure([1.0] * 36 + [0.0] * 13, Clusters.of(np.arange(49))).method
    'Wilson'
    """
    from statsmodels.stats.proportion import proportion_confint

    values = np.asarray(hits, np.float64)
    if not len(values):
        return no_figure("no data")
    worth = effective_n(values, clusters)
    low, high = proportion_confint(values.mean() * worth, worth, alpha=1 - LEVEL, method="wilson")
    method = "Wilson" if clusters.count == len(values) else "Wilson, effective n"
    return Figure(float(values.mean()), float(low), float(high), len(values), clusters.count, method)


def simultaneous_shares(grades: ArrayLike, clusters: Clusters) -> list[tuple[float, float]]:
    """Goodman intervals of the shares of 1, 2 and 3 that hold together, on the effective number of rows."""
    from statsmodels.stats.proportion import multinomial_proportions_confint

    values = np.asarray(grades, np.float64)
    counts = np.array([(values == grade).sum() for grade in (1, 2, 3)], np.float64)
    worth = min(
        effective_n((values == grade).astype(np.float64), clusters)
        for grade in (1, 2, 3)
        if (values == grade).any()
    )
    bounds = multinomial_proportions_confint(counts * worth / counts.sum(), alpha=1 - LEVEL, method="goodman")
    return [(float(low), float(high)) for low, high in bounds]


def mean_for_other_readers(values: ArrayLike, units: Clusters, readers: Clusters) -> Figure:
    """The mean with an interval for other readers and other subjects: both are taken as drawn at random.

    The squares of the half-widths for subjects and for readers are added, each with its own t (MOVER, Zou 2008):
    Satterthwaite's single t is too narrow where few readers differ much. Kept within the scale 1..3.
    """
    numbers = np.asarray(values, np.float64)
    mean, n = float(numbers.mean()), len(numbers)
    by_unit, by_reader = (_variance_of_mean(numbers, group) for group in (units, readers))
    spread_of_readers = max(0.0, by_reader - _remaining_variance(numbers, units, readers))
    squares = (
        float(student.ppf((1 + LEVEL) / 2, groups.count - 1)) ** 2 * variance
        for groups, variance in ((units, by_unit), (readers, spread_of_readers))
    )
    half = sum(squares) ** 0.5
    if half <= 0:
        return Figure(mean, None, None, n, units.count, FOR_OTHERS, "no interval: the grades do not vary")
    return Figure(mean, max(1.0, mean - half), min(3.0, mean + half), n, units.count, FOR_OTHERS)


def _variance_of_mean(values: Floats, groups: Clusters) -> float:
    sums = np.bincount(groups.codes, weights=values - values.mean())
    return float((sums**2).sum() * groups.count / (groups.count - 1)) / len(values) ** 2


def _remaining_variance(values: Floats, units: Clusters, readers: Clusters) -> float:
    """Variance of the mean that is left when subject and reader effects are taken out (a few sweeps suffice)."""
    residuals = values - values.mean()
    for _ in range(10):
        for groups in (units, readers):
            size = np.bincount(groups.codes, minlength=groups.count)
            residuals = residuals - (np.bincount(groups.codes, weights=residuals) / size)[groups.codes]
    freedom = len(values) - units.count - readers.count + 1
    return float((residuals**2).sum()) / freedom / len(values) if freedom > 0 else 0.0

"""Paired tests and effect sizes on differences of grades, exact where that is affordable, else seeded.

Under the null hypothesis the two labels of a pair could be swapped; pairs of one subject are swapped together. With
one pair a subject the sign-flip test of grade 1 is McNemar's exact test, and that of signed ranks is Wilcoxon's
with Pratt's zeros.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, rankdata

from review.analysis.figures import Figure
from review.analysis.resampling import SEED, Clusters, bca_name, bootstrap, mean_figure

Floats = NDArray[np.float64]
LARGEST_EXACT = 1_000_000
FLIPS = 20_000
LARGEST_KEPT = 8_000_000
STEPS = np.arange(-2, 3)


@dataclass(frozen=True)
class Test:
    """A test's statistic and two-sided p; `discordant` counts the pairs that differ."""

    statistic: float
    p: float
    n: int
    discordant: int
    method: str


def pratt_signed_ranks(differences: ArrayLike) -> Floats:
    """Signed ranks of |d|, zeros ranked first and then dropped (Pratt 1959).

    >>> pratt_signed_ranks([0, 1, -1, 2]).tolist()
    [0.0, 2.5, -2.5, 4.0]
    """
    apart = np.asarray(differences, np.float64)
    return np.asarray(np.sign(apart) * rankdata(np.abs(apart)), np.float64)


def wilcoxon_pratt(differences: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Test:
    """Wilcoxon's signed-rank test with Pratt's zeros, p by sign flips; the statistic sums the positive ranks."""
    ranks = pratt_signed_ranks(differences)
    p, how = sign_flip_p(np.rint(2 * clusters.sums(ranks[:, None])[:, 0]).astype(np.int64), seed=seed)
    method = f"Wilcoxon-Pratt, {how} sign flips{_by(clusters, len(ranks))}"
    return Test(float(ranks[ranks > 0].sum()), p, len(ranks), int((ranks != 0).sum()), method)


def exact_mcnemar(first: ArrayLike, second: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Test:
    """McNemar's exact test of two yes/no answers a pair; the statistic counts pairs where only the first is yes."""
    apart = np.asarray(first, np.int64) - np.asarray(second, np.int64)
    p, how = sign_flip_p(
        np.rint(clusters.sums(apart[:, None].astype(np.float64))[:, 0]).astype(np.int64), seed=seed
    )
    method = f"McNemar, {how} sign flips{_by(clusters, len(apart))}"
    return Test(float((apart > 0).sum()), p, len(apart), int((apart != 0).sum()), method)


def _by(clusters: Clusters, n: int) -> str:
    return "" if clusters.count == n else " by subject"


def sign_flip_p(sums: NDArray[np.int64], *, seed: int = SEED) -> tuple[float, str]:
    """Two-sided p of the total when each cluster's sum may change its sign, and how it was found.

    Exact by convolution of binomials over equal magnitudes, or `FLIPS` seeded flips where that is too large.
    """
    total = abs(int(sums.sum()))
    sizes, often = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    if not sizes.size:
        return 1.0, "exact"
    if float(np.prod(often + 1.0)) > LARGEST_EXACT:
        return _flipped(sums, total, seed), f"{FLIPS} random"
    reachable, mass = np.zeros(1, np.int64), np.ones(1)
    for size, count in zip(sizes, often, strict=True):
        ups = np.arange(count + 1)
        reachable = np.add.outer(reachable, size * (2 * ups - count)).ravel()
        mass = np.multiply.outer(mass, binom.pmf(ups, count, 0.5)).ravel()
    return min(1.0, float(mass[np.abs(reachable) >= total].sum())), "exact"


def _flipped(sums: NDArray[np.int64], total: int, seed: int) -> float:
    extreme = 0
    for signs in _signs(len(sums), seed):
        extreme += int((np.abs(signs.astype(np.float64) @ sums.astype(np.float64)) >= total - 0.5).sum())
    return (1 + extreme) / (1 + FLIPS)


def _signs(count: int, seed: int) -> Iterator[NDArray[np.int8]]:
    """Yield (some flips, clusters) arrays of -1 and 1, the same for all tests of as many clusters."""
    if count * FLIPS <= LARGEST_KEPT:
        yield _kept_signs(count, seed)
        return
    random, step = np.random.default_rng([seed, count]), max(1, LARGEST_KEPT // count)
    for begun in range(0, FLIPS, step):
        yield _draw_signs(random, min(step, FLIPS - begun), count)


@lru_cache(maxsize=4)
def _kept_signs(count: int, seed: int) -> NDArray[np.int8]:
    return _draw_signs(np.random.default_rng([seed, count]), FLIPS, count)


def _draw_signs(random: np.random.Generator, flips: int, count: int) -> NDArray[np.int8]:
    return random.integers(0, 2, (flips, count), np.int8) * np.int8(2) - np.int8(1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []


def mean_difference(differences: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """Mean of first minus second: below 0 favours the first, since lower grades are better."""
    return mean_figure(differences, clusters, seed=seed)


def superiority(differences: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """P(first better) - P(first worse): above 0 favours the first."""
    return mean_figure(-np.sign(np.asarray(differences, np.float64)), clusters, seed=seed)


def hodges_lehmann(differences: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """Median of the means of all pairs of differences (whole numbers -2..2), with its BCa interval."""
    apart = np.asarray(differences, np.float64)
    counted = (apart[:, None] == STEPS[None, :]).astype(np.float64)
    return bootstrap(counted, clusters, _walsh_median, bca_name(clusters, len(apart)), seed=seed)


def _walsh_median(counts: Floats) -> Floats:
    """Weighted medians of the Walsh averages of (m, 5) counts of the differences -2..2."""
    left, right = np.triu_indices(len(STEPS))
    often = counts[:, left] * counts[:, right]
    same = left == right
    often[:, same] = counts * (counts + 1) / 2
    sums = STEPS[left] + STEPS[right]
    values = np.unique(sums)
    gathered = np.stack([often[:, sums == value].sum(axis=1) for value in values], axis=1)
    running = np.cumsum(gathered, axis=1)
    half = running[:, -1:] / 2
    lower, upper = (running >= half - 1e-9).argmax(axis=1), (running > half + 1e-9).argmax(axis=1)
    return np.asarray((values[lower] + values[upper]) / 4, np.float64)

"""Chance-corrected agreement on an ordinal scale, by formula: raw agreement, weighted kappa, AC2, ordinal alpha.

`counts` is an (items, categories) array: how many readers gave an item each category; a missing rating is not
counted. Items keep their order, so that per-item contributions can be summed by cluster. Nothing here knows about
studies; the intervals that need resampling are in `review.analysis`.

Sources: Gwet 2014 (AC2 and its standard error), Krippendorff 2013 (alpha), Cohen 1968 (weighted kappa).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Weighting(StrEnum):
    """How much a disagreement by some steps still counts as agreement."""

    IDENTITY = "identity"
    LINEAR = "linear"
    ORDINAL = "ordinal"
    QUADRATIC = "quadratic"


@dataclass(frozen=True)
class Ac2:
    """Gwet's AC2 with its standard error; `se` is None with fewer than two independent items."""

    value: float
    se: float | None
    observed: float
    expected: float
    items: int


def divided(parts: Floats, wholes: Floats) -> Floats:
    """Elementwise quotient; NaN where the divisor is 0, which is where a coefficient is not defined."""
    quotients = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=quotients, where=np.abs(wholes) > 1e-12)
    return quotients


def count_ratings(ratings: ArrayLike, categories: int = 3) -> NDArray[np.int64]:
    """Turn an (items, readers) array of grades 1..categories, NaN or 0 where missing, into counts.

    >>> count_ratings([[1, 1, 2], [3, float("nan"), 3]]).tolist()
    [[2, 1, 0], [0, 0, 2]]
    """
    grades = np.nan_to_num(np.asarray(ratings, np.float64))
    return np.stack([(grades == grade).sum(axis=1) for grade in range(1, categories + 1)], axis=1)


def agreement_weights(weighting: Weighting, categories: int = 3) -> Floats:
    """Return the (categories, categories) weights: 1 on the diagonal, less the further two grades lie apart.

    >>> agreement_weights(Weighting.QUADRATIC).tolist()
    [[1.0, 0.75, 0.0], [0.75, 1.0, 0.75], [0.0, 0.75, 1.0]]
    """
    apart = np.abs(np.subtract.outer(np.arange(categories), np.arange(categories))).astype(np.float64)
    disagreement: Floats = {
        Weighting.IDENTITY: np.minimum(apart, 1),
        Weighting.LINEAR: apart / (categories - 1),
        Weighting.ORDINAL: apart * (apart + 1) / (categories * (categories - 1)),
        Weighting.QUADRATIC: (apart / (categories - 1)) ** 2,
    }[weighting]
    return 1 - disagreement


def item_agreement(counts: ArrayLike, weights: Floats) -> Floats:
    """Weighted agreement of each item among its pairs of readers; NaN where fewer than two graded it."""
    table = np.asarray(counts, np.float64)
    readers = table.sum(axis=1)
    agreeing = (table * (table @ weights - 1)).sum(axis=1)
    return divided(agreeing, readers * (readers - 1))


def raw_agreement(counts: ArrayLike) -> float:
    """Share of pairs of readers that gave the same grade, averaged over items; NaN without such pairs."""
    agreed = item_agreement(counts, agreement_weights(Weighting.IDENTITY, np.shape(counts)[1]))
    known = agreed[np.isfinite(agreed)]
    return float(known.mean()) if known.size else float("nan")


def ac2(counts: ArrayLike, weighting: Weighting, clusters: ArrayLike | None = None) -> Ac2 | None:
    """Gwet's AC2 over items with at least one grade; None where no item was graded twice.

    `clusters` numbers the cluster of each item (0..); the items' linearised contributions are then summed by
    cluster before their variance is taken, which is the published standard error when each item is its own.
    """
    table = np.asarray(counts, np.float64)
    known = table.sum(axis=1) > 0
    group = np.arange(len(table)) if clusters is None else np.asarray(clusters)
    table, group = table[known], group[known]
    weights = agreement_weights(weighting, table.shape[1])
    agreed = item_agreement(table, weights)
    paired = np.isfinite(agreed)
    if not paired.any():
        return None
    categories = table.shape[1]
    shares = table / table.sum(axis=1, keepdims=True)
    prevalence = shares.mean(axis=0)
    factor = weights.sum() / (categories * (categories - 1))
    observed, expected = float(agreed[paired].mean()), float(factor * (prevalence * (1 - prevalence)).sum())
    value = (observed - expected) / (1 - expected)
    by_chance = factor * (shares * (1 - prevalence)).sum(axis=1)
    direct = np.where(paired, (np.nan_to_num(agreed) - expected) * len(table) / paired.sum() / (1 - expected), 0)
    linearised = direct - 2 * (1 - value) * (by_chance - expected) / (1 - expected)
    return Ac2(value, _standard_error(linearised - value, group), observed, expected, int(paired.sum()))


def _standard_error(contributions: Floats, clusters: NDArray[np.int64]) -> float | None:
    """Of a mean, from its items' deviations: sqrt(sum of squares / (n (n - 1))), by cluster."""
    _, numbered = np.unique(clusters, return_inverse=True)
    sums = np.bincount(numbered, weights=contributions)
    if len(sums) < 2:
        return None
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(contributions))


def coincidences(counts: ArrayLike) -> Floats:
    """Each item's (categories * categories) share in Krippendorff's coincidence matrix, flattened.

    The matrix is the sum over items, so a resampled alpha is a function of a weighted sum of these rows.
    """
    table = np.asarray(counts, np.float64)
    readers = table.sum(axis=1)
    pairs = np.einsum("ik,il->ikl", table, table)
    diagonal = np.arange(table.shape[1])
    pairs[:, diagonal, diagonal] -= table
    scale = np.divide(1.0, readers - 1, out=np.zeros(len(table)), where=readers > 1)
    scaled: Floats = pairs * scale[:, None, None]
    return scaled.reshape(len(table), -1)


def ordinal_alpha(matrices: Floats) -> Floats:
    """Krippendorff's alpha for ordinal data, of (m, categories * categories) coincidence matrices at once.

    NaN where every grade is the same: alpha is not defined without variation.

    >>> counts = count_ratings([[1, 1], [2, 2], [1, 2], [3, 3]])
    >>> round(float(ordinal_alpha(coincidences(counts).sum(axis=0)[None])[0]), 3)
    0.79
    """
    categories = round(matrices.shape[1] ** 0.5)
    observed = matrices.reshape(-1, categories, categories)
    margins = observed.sum(axis=2)
    # The ordinal metric: grades between c and k, each counted as often as it was given, ends by half.
    running = np.cumsum(margins, axis=1)
    middle = running - margins / 2
    squared = (middle[:, :, None] - middle[:, None, :]) ** 2
    total = margins.sum(axis=1)
    disagreement = (observed * squared).sum(axis=(1, 2))
    by_chance = (margins[:, :, None] * margins[:, None, :] * squared).sum(axis=(1, 2))
    return 1 - divided(disagreement * (total - 1), by_chance)


def pair_tables(first: ArrayLike, second: ArrayLike, categories: int = 3) -> Floats:
    """Each item's cell in the square table of two readers, flattened; a zero row where one did not grade it."""
    left, right = (np.nan_to_num(np.asarray(grades, np.float64)).astype(np.int64) for grades in (first, second))
    table = np.zeros((len(left), categories * categories))
    both = (left > 0) & (right > 0)
    table[np.flatnonzero(both), (left[both] - 1) * categories + right[both] - 1] = 1.0
    return table


def weighted_kappa(tables: Floats, weighting: Weighting = Weighting.QUADRATIC) -> Floats:
    """Cohen's weighted kappa of (m, categories * categories) tables at once; NaN where one grade is all there is.

    >>> published = [[216.0, 9, 0, 9, 3, 0, 0, 0, 0]]
    >>> round(float(weighted_kappa(np.array(published))[0]), 2)
    0.21
    """
    categories = round(tables.shape[1] ** 0.5)
    square = tables.reshape(-1, categories, categories)
    apart = 1 - agreement_weights(weighting, categories)
    total = square.sum(axis=(1, 2))
    expected = np.einsum("mk,ml,kl->m", square.sum(axis=2), square.sum(axis=1), apart)
    observed = (square * apart).sum(axis=(1, 2)) * total
    return 1 - divided(observed, expected)

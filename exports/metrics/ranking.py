"""Average precision from ranked detections, by COCO's interpolation, also of many weighted resamples at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101).astype(np.float64)
_TINY = float(np.spacing(1))
Floats = NDArray[np.float64]
Weights = NDArray[np.int64]


@dataclass(frozen=True)
class Ranked:
    """The detections of one category, best first, and how many truths each frame holds.

    `frame` and `score` (D,), `hits` (thresholds, D), `truths` (frames,).
    """

    frame: NDArray[np.intp]
    score: Floats
    hits: NDArray[np.bool_]
    truths: NDArray[np.intp]


def precision_table(categories: Sequence[Ranked]) -> Floats:
    """(thresholds, 101 recalls, categories), -1 for a category without a truth: COCOeval's own `precision`."""
    thresholds = len(categories[0].hits) if categories else 0
    table = np.full((thresholds, len(RECALLS), len(categories)), -1.0)
    for place, ranked in enumerate(categories):
        truths = int(ranked.truths.sum())
        if truths:
            for row, hits in enumerate(ranked.hits):
                table[row, :, place] = _interpolated(hits, truths)
    return table


def mean_precision(table: Floats) -> float | None:
    """The mean over thresholds, recalls and categories as COCOeval.summarize takes it; None without a truth."""
    there = table[table > -1]
    return float(np.mean(there)) if there.size else None


def _interpolated(hits: NDArray[np.bool_], truths: int) -> Floats:
    """Precision at 101 recalls. Only ranks of hits matter: between two of them precision falls, recall stays."""
    ranks = np.flatnonzero(hits)
    if not ranks.size:
        return np.zeros(len(RECALLS))
    found = np.arange(1.0, ranks.size + 1)
    precision = np.maximum.accumulate((found / (ranks + 1.0 + _TINY))[::-1])[::-1]
    wanted = _truths_wanted(truths)
    reached = wanted <= ranks.size
    return np.where(reached, precision[np.clip(wanted, 1, ranks.size) - 1], 0.0)


@lru_cache(maxsize=4096)
def _truths_wanted(truths: int) -> NDArray[np.intp]:
    """How many truths must be found to reach each recall, by the same comparison of floats as COCOeval's."""
    return np.searchsorted(np.arange(truths + 1) / truths, RECALLS, side="left")


def weighted_precisions(ranked: Ranked, weights: Weights, *, first_is_1: bool = False) -> Floats:
    """(S, thresholds) average precision where frame f counts `weights[s, f]` times; NaN without a truth.

    A frame that counts twice is as good as there twice, next to itself in the order of scores. `first_is_1` takes
    the precision at recall 0 as 1, which COCO does not.
    """
    return paired_precisions(ranked, weights[:, ranked.frame], weights @ ranked.truths, first_is_1=first_is_1)


def paired_precisions(ranked: Ranked, drawn: Weights, truths: Weights, *, first_is_1: bool = False) -> Floats:
    """The same with weights (S, D) of the detections themselves and (S,) counts of truths."""
    seen = np.cumsum(drawn, axis=1)
    values = np.zeros((len(truths), len(ranked.hits)))
    for column, hits in enumerate(ranked.hits):
        places = np.flatnonzero(hits)
        found = np.cumsum(drawn[:, places], axis=1)
        precision = np.maximum.accumulate((found / (seen[:, places] + _TINY))[:, ::-1], axis=1)[:, ::-1]
        reached = _recalls_reached(found, truths)
        total = (precision * np.diff(reached, axis=1, prepend=0)).sum(axis=1)
        if first_is_1:
            total += 1.0 - precision[:, :1].sum(axis=1)
        values[:, column] = total / len(RECALLS)
    values[truths == 0] = np.nan
    return values


def _recalls_reached(found: Weights, truths: Weights) -> NDArray[np.intp]:
    """(S, hits): how many of the 101 recalls are reached once `found` of a resample's truths are."""
    counts, row = np.unique(truths, return_inverse=True)
    table = np.zeros((len(counts), int(counts.max(initial=0)) + 1), np.intp)
    for place, count in enumerate(counts):
        if count:
            table[place, : count + 1] = _reached_by(int(count))
    return np.asarray(table[row[:, None], np.minimum(found, truths[:, None])])


@lru_cache(maxsize=4096)
def _reached_by(truths: int) -> NDArray[np.intp]:
    """For 0, 1, ... of so many truths found: how many recalls that reaches."""
    return np.searchsorted(_truths_wanted(truths), np.arange(truths + 1), side="right")

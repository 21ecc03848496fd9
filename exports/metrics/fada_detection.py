"""Average precision as FADA's evaluation script defines it: not COCO's, kept apart and named so.

It differs in that a detection tries only the truth of its highest IoU (the first of equal ones) and is a false
positive where that one is taken; precision at recall 0 is taken as 1; a category that was predicted but is not in
the reference counts as 0; no detection is cut off; and what the script calls mAP@0.5:0.95 is the mean of the two at
.50 and .75. It gives every detection the confidence 1.0, so the order of the frames decides.
"""

from collections.abc import Sequence

import numpy as np

from exports.metrics.box_matching import Boxes, by_category, overlapping_pairs
from exports.metrics.ranking import Floats, Ranked, Weights, paired_precisions

THRESHOLDS: Floats = np.array([0.5, 0.75])


def rank_as_fada(truth: Boxes, found: Boxes, frames: int, categories: int) -> list[Ranked]:
    """Match at IoU .50 and .75, and return the detections of each category by score, ties in their order."""
    ranked = found.chosen(np.lexsort((-found.score, found.category)))
    pairs = overlapping_pairs(truth, ranked, frames, float(THRESHOLDS.min()))
    starts = np.flatnonzero(np.diff(pairs.detection, prepend=-1))
    hits = np.zeros((len(THRESHOLDS), len(ranked)), bool)
    if starts.size:
        highest = np.repeat(np.maximum.reduceat(pairs.iou, starts), np.diff(np.append(starts, len(pairs.iou))))
        best = pairs.chosen(pairs.iou == highest)
        _, first = np.unique(best.detection, return_index=True)
        for row, threshold in enumerate(THRESHOLDS):
            near = first[best.iou[first] >= threshold]
            _, earliest = np.unique(best.truth[near], return_index=True)  # the rest come too late: it is taken
            hits[row, best.detection[near[earliest]]] = True
    return by_category(truth, ranked, hits, frames, categories)


def precisions_of(ranked: Ranked, drawn: Weights, truths: Weights) -> Floats:
    """(S, 2) of one category; 0 where it is only predicted, NaN where it is neither there nor predicted."""
    values = paired_precisions(ranked, drawn, truths, first_is_1=True)
    values[(truths == 0) & (drawn.sum(axis=1) > 0)] = 0.0
    return values


def mean_of_categories(each: Sequence[Floats]) -> Floats:
    """The mean over the categories that are there, (S, thresholds); NaN where none is."""
    stacked = np.stack(each)
    there = (~np.isnan(stacked)).sum(axis=0)
    mean = np.divide(np.nansum(stacked, axis=0), there, out=np.full(there.shape, np.nan), where=there > 0)
    return np.asarray(mean)

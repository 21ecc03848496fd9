"""Which detection hits which true box: COCO's rule on arrays, for all frames, categories and thresholds at once.

The rule is that of `COCOeval.evaluateImg` at area=all and maxDets=100 without crowds: per frame and category the
detections choose in order of score (stable), each the truth of highest IoU that is left, the last of equal ones.
The arithmetic is pycocotools' own, operation by operation, so the results are the same to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError
from annotator.schema import Finding
from exports.metrics.ranking import Ranked

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10).astype(np.float64)
MOST_DETECTIONS = 100
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Boxes:
    """Boxes of many frames: `frame` and `category` count from 0, (N,); `xywh` in pixels, (N, 4); `score` (N,)."""

    frame: Ints
    category: Ints
    xywh: NDArray[np.float64]
    score: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.xywh).all() and np.isfinite(self.score).all()):
            raise InputError("a box or score is not a finite number; it cannot be ranked")

    def __len__(self) -> int:
        return len(self.frame)

    def chosen(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> "Boxes":
        """Some of the boxes, in the order of `places`."""
        return Boxes(self.frame[places], self.category[places], self.xywh[places], self.score[places])


@dataclass(frozen=True)
class Pairs:
    """Detections and truths of one frame and category whose IoU is high enough, by detection and then by truth."""

    detection: Ints
    truth: Ints
    iou: NDArray[np.float64]

    def chosen(self, which: NDArray[np.bool_]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.detection[which], self.truth[which], self.iou[which])


def boxes_of(frames: Sequence[Sequence[Finding]], categories: Sequence[str], missing_score: float = 0.0) -> Boxes:
    """The boxes of the findings of each frame whose structure is among `categories`."""
    numbers = {name: number for number, name in enumerate(categories)}
    rows = [
        (frame, numbers[item.structure], missing_score if item.score is None else item.score, *item.box_xyxy)
        for frame, items in enumerate(frames)
        for item in items
        if item.structure in numbers
    ]
    table = np.array(rows, np.float64).reshape(-1, 7)
    xywh = np.concatenate([table[:, 3:5], table[:, 5:7] - table[:, 3:5]], axis=1)
    return Boxes(table[:, 0].astype(np.intp), table[:, 1].astype(np.intp), xywh, table[:, 2])


def rank_as_coco(
    truth: Boxes, found: Boxes, frames: int, categories: int, thresholds: NDArray[np.float64] = IOU_THRESHOLDS
) -> list[Ranked]:
    """Match, and return the detections of each category in order of score, hits by threshold.

    Ties in score keep the order of the frames, and within a frame that of the detections.
    """
    kept = found.chosen(_best_of_each_frame(found, frames))
    hits = _hits(truth, kept, frames, np.minimum(thresholds, 1 - 1e-10))
    order = np.lexsort((-kept.score, kept.category))
    return by_category(truth, kept.chosen(order), hits[:, order], frames, categories)


def by_category(truth: Boxes, found: Boxes, hits: NDArray[np.bool_], frames: int, categories: int) -> list[Ranked]:
    """Cut ranked detections, (T, D) hits in order of category, into one Ranked a category."""
    borders = np.searchsorted(found.category, np.arange(categories + 1))
    flat = np.bincount(truth.category * frames + truth.frame, minlength=frames * categories)
    truths = flat.reshape(categories, frames)
    return [
        Ranked(found.frame[start:stop], found.score[start:stop], hits[:, start:stop], truths[number])
        for number, (start, stop) in enumerate(pairwise(borders))
    ]


def _best_of_each_frame(found: Boxes, frames: int) -> Ints:
    """Places of the detections by category, frame and score; the 100 best of each frame and category."""
    key = found.category * frames + found.frame
    order = np.lexsort((-found.score, key))
    sorted_key = key[order]
    within = np.arange(len(order)) - np.searchsorted(sorted_key, sorted_key)
    return np.asarray(order[within < MOST_DETECTIONS])


def _hits(truth: Boxes, found: Boxes, frames: int, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, D): whether each detection, given by frame and score, gets a truth at each threshold."""
    hits = np.zeros((len(thresholds), len(found)), bool)
    pairs = overlapping_pairs(truth, found, frames, float(thresholds.min(initial=1.0)))
    alone = np.bincount(pairs.detection, minlength=len(found))[pairs.detection] == 1
    alone &= np.bincount(pairs.truth, minlength=len(truth))[pairs.truth] == 1
    simple = pairs.chosen(alone)
    hits[:, simple.detection] = simple.iou >= thresholds[:, None]
    taken = np.zeros((len(thresholds), len(truth)), bool)
    for rivals in _rounds(pairs.chosen(~alone), found.category * frames + found.frame):
        _choose(rivals, thresholds, hits, taken)
    return hits


def _rounds(pairs: Pairs, key: Ints) -> list[Pairs]:
    """The pairs of the first detection of each frame and category that has any, then of the second, and so on."""
    if not len(pairs.detection):
        return []
    detections = np.unique(pairs.detection)
    its_key = key[detections]
    turn = np.arange(len(detections)) - np.searchsorted(its_key, its_key)
    turn_of_pair = turn[np.searchsorted(detections, pairs.detection)]
    return [pairs.chosen(turn_of_pair == number) for number in range(turn.max() + 1)]


def _choose(
    pairs: Pairs, thresholds: NDArray[np.float64], hits: NDArray[np.bool_], taken: NDArray[np.bool_]
) -> None:
    """Let each detection of a round choose; the detections of one round never want the same truth."""
    starts = np.flatnonzero(np.diff(pairs.detection, prepend=-1))
    segment = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(pairs.detection))))
    free = (pairs.iou >= thresholds[:, None]) & ~taken[:, pairs.truth]
    offered = np.where(free, pairs.iou, -1.0)
    best = np.maximum.reduceat(offered, starts, axis=1)
    is_best = free & (offered == best[:, segment])
    last = np.maximum.reduceat(np.where(is_best, np.arange(len(pairs.iou)), -1), starts, axis=1)
    row, place = np.nonzero(last >= 0)
    pair = last[row, place]
    hits[row, pairs.detection[pair]] = True
    taken[row, pairs.truth[pair]] = True


def overlapping_pairs(truth: Boxes, found: Boxes, frames: int, least_iou: float) -> Pairs:
    """All pairs of one frame and category with an IoU of at least `least_iou` (> 0)."""
    truth_key = truth.category * frames + truth.frame
    order = np.argsort(truth_key, kind="stable")
    sorted_key, key = truth_key[order], found.category * frames + found.frame
    starts = np.searchsorted(sorted_key, key, side="left")
    counts = np.searchsorted(sorted_key, key, side="right") - starts
    detection = np.repeat(np.arange(len(found)), counts)
    ends = np.cumsum(counts)
    beside = order[np.arange(len(detection)) + np.repeat(starts - (ends - counts), counts)]
    pairs = Pairs(detection, beside, _iou(found.xywh[detection], truth.xywh[beside]))
    return pairs.chosen(pairs.iou >= least_iou)


def _iou(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """As maskApi.c's bbIou computes it, in its order of operations."""
    low = np.maximum(found[:, :2], truth[:, :2])
    shared_wh = np.minimum(found[:, 2:] + found[:, :2], truth[:, 2:] + truth[:, :2]) - low
    shared = np.where((shared_wh > 0).all(axis=1), shared_wh[:, 0] * shared_wh[:, 1], 0.0)
    either = found[:, 2] * found[:, 3] + truth[:, 2] * truth[:, 3] - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))

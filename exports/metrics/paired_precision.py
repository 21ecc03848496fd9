"""Average precision of two runs on the same frames: the difference, its interval, and a permutation test.

The test lets the two runs change places in whole subjects. No matching is done anew: the detections of both runs
lie in one ranking, and a weight of 0 or 1 says which of them a permutation gives to the one run or the other.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from exports.metrics.bootstrap import Bootstrap, share_as_far
from exports.metrics.fada_detection import mean_of_categories, precisions_of
from exports.metrics.ranking import Floats, Ranked, Weights, paired_precisions
from exports.text.resampling import Figure

Rule = Callable[[Ranked, Weights, Weights], Floats]
COCO_RULE: Rule = paired_precisions
FADA_RULE: Rule = precisions_of


def precisions(ranked: Sequence[Ranked], rule: Rule, weights: Weights) -> Floats:
    """(S, thresholds) mean over the structures, frame f counting `weights[s, f]` times."""
    return mean_of_categories([rule(one, weights[:, one.frame], weights @ one.truths) for one in ranked])


def paired_differences(
    first: Sequence[Ranked], second: Sequence[Ranked], rule: Rule, draws: Bootstrap
) -> list[Figure]:
    """First - second at each threshold; both rank the same structures on the frames that `draws` resamples."""
    frames = len(first[0].truths)
    once = np.ones((1, frames), np.int64)
    values = (precisions(first, rule, once) - precisions(second, rule, once))[0]
    drawn = draws.drawn(lambda weights: precisions(first, rule, weights) - precisions(second, rule, weights))
    both = [_merged(*pair) for pair in zip(first, second, strict=True)]
    swapped = np.concatenate([_swapped(both, rule, swaps) for swaps in draws.swaps_of_cases()])
    figures = []
    for column, value in enumerate(values):
        figure = draws.figure(float(value), drawn[:, column], np.ones(frames, bool))
        figures.append({**figure, "p": share_as_far(float(value), swapped[:, column])})
    return figures


def _merged(first: Ranked, second: Ranked) -> tuple[Ranked, NDArray[np.bool_]]:
    """Both runs in one ranking, ties by frame as in each of them; and which detections are the second's."""
    frame = np.concatenate([first.frame, second.frame])
    score = np.concatenate([first.score, second.score])
    hits = np.concatenate([first.hits, second.hits], axis=1)
    order = np.lexsort((frame, -score))
    return Ranked(frame[order], score[order], hits[:, order], first.truths), order >= len(first.frame)


def _swapped(both: Sequence[tuple[Ranked, NDArray[np.bool_]]], rule: Rule, swaps: NDArray[np.bool_]) -> Floats:
    sides: tuple[list[Floats], list[Floats]] = ([], [])
    for ranked, is_second in both:
        truths = np.full(len(swaps), int(ranked.truths.sum()), np.int64)
        given = (swaps[:, ranked.frame] == is_second).astype(np.int64)
        sides[0].append(rule(ranked, given, truths))
        sides[1].append(rule(ranked, 1 - given, truths))
    return mean_of_categories(sides[0]) - mean_of_categories(sides[1])

"""Average precision of boxes: pycocotools' own figures bit for bit, FADA's definitions by cases done by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import InputError
from exports.metrics.box_matching import Boxes, rank_as_coco
from exports.metrics.fada_detection import mean_of_categories, precisions_of, rank_as_fada
from exports.metrics.ranking import Floats, Ranked, mean_precision, precision_table, weighted_precisions
from tests.exports.metrics.judges import boxes, hostile, judged, near, some_boxes


def means(ranked: list[Ranked]) -> list[float | None]:
    table = precision_table(ranked)
    return [mean_precision(part) for part in (table, table[[0]], table[[5]])]


def fada_at_50(truth: Boxes, found: Boxes, frames: int = 1, categories: int = 1) -> float:
    return float(fada_means(rank_as_fada(truth, found, frames, categories), np.ones((1, frames), int))[0, 0])


def fada_means(ranked: list[Ranked], weights: np.ndarray) -> Floats:
    each = [precisions_of(one, weights[:, one.frame], weights @ one.truths) for one in ranked]
    return mean_of_categories(each)


def assert_is_pycocotools(truth: Boxes, found: Boxes, frames: int, categories: int) -> None:
    ranked = rank_as_coco(truth, found, frames, categories)
    table, stats = judged(truth, found, frames, categories)
    assert np.array_equal(precision_table(ranked), table)
    if len(truth):
        assert means(ranked) == stats


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools_bit_for_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = some_boxes(random, 150, 30, 4)
    found = near(random, truth)
    assert_is_pycocotools(truth, found, 30, 4)
    value = means(rank_as_coco(truth, found, 30, 4))[0]
    assert value is not None
    assert 0.1 < value < 0.9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 60), st.integers(1, 4), st.integers(1, 3))
def test_so_it_is_on_hostile_boxes(seed: int, truths: int, found: int, frames: int, categories: int) -> None:
    random = np.random.default_rng(seed)
    truth = hostile(random, truths, frames, categories)
    assert_is_pycocotools(truth, hostile(random, found, frames, categories), frames, categories)


def test_of_equal_ious_the_last_truth_is_taken_as_coco_does() -> None:
    truth = boxes((0, 0, 0, 0, 10, 10), (0, 0, 2, 0, 10, 10))  # the first detection lies between the two
    found = boxes((0, 0, 1, 0, 10, 10, 0.9), (0, 0, 2, 0, 10, 10, 0.8))
    assert_is_pycocotools(truth, found, 1, 1)
    # Up to .80 the first detection (IoU .82 with both) takes the second one's own truth; from .85 on it takes none.
    assert rank_as_coco(truth, found, 1, 1)[0].hits[:, 1].tolist() == [True] * 4 + [False] * 3 + [True] * 3


def test_more_than_a_hundred_detections_of_a_frame_are_cut() -> None:
    truth = boxes((0, 0, 0, 0, 10, 10))
    found = boxes(*[(0, 0, 50, 50, 10, 10, 0.9)] * 100, (0, 0, 0, 0, 10, 10, 0.1))
    assert_is_pycocotools(truth, found, 1, 1)
    assert means(rank_as_coco(truth, found, 1, 1))[0] == 0.0


def test_crowded_frames_are_matched_as_pycocotools_matches_them() -> None:
    random = np.random.default_rng(5)
    truth = hostile(random, 130, 1, 1)
    assert_is_pycocotools(truth, hostile(random, 250, 1, 1), 1, 1)


@pytest.mark.parametrize(
    ("truth", "found"),
    [(boxes(), boxes()), (boxes(), boxes((0, 0, 0, 0, 1, 1, 0.5))), (boxes((1, 0, 0, 0, 1, 1)), boxes())],
)
def test_nothing_to_find_and_nothing_found_are_judged_alike(truth: Boxes, found: Boxes) -> None:
    assert_is_pycocotools(truth, found, 2, 2)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused(broken: float) -> None:
    with pytest.raises(InputError, match="not a finite number"):
        boxes((0, 0, 0, 0, 1, 1, broken))


@pytest.mark.parametrize("first_is_1", [False, True])
def test_a_frame_that_weighs_twice_counts_as_two_frames(first_is_1: bool) -> None:
    random = np.random.default_rng(2)
    truth = some_boxes(random, 60, 8, 2)
    found = near(random, truth)
    chosen = [0, 3, 3, 5, 7, 7, 7]
    weights = np.bincount(chosen, minlength=8)[None]

    def repeated(given: Boxes) -> Boxes:
        parts = [given.chosen(given.frame == frame) for frame in chosen]
        numbers = np.concatenate([np.full(len(part), place) for place, part in enumerate(parts)])
        joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("category", "xywh", "score")]
        return Boxes(numbers.astype(np.intp), *joined)

    once = np.ones((1, len(chosen)), int)
    rank = rank_as_fada if first_is_1 else rank_as_coco
    weighted = [weighted_precisions(one, weights, first_is_1=first_is_1) for one in rank(truth, found, 8, 2)]
    copied = rank(repeated(truth), repeated(found), len(chosen), 2)
    expected = [weighted_precisions(one, once, first_is_1=first_is_1) for one in copied]
    assert np.allclose(weighted, expected, rtol=1e-12)
    if not first_is_1:
        assert np.allclose(np.ravel(expected), [part.mean() for one in copied for part in precision_table([one])])


T = (0, 0, 0, 0, 10, 10)
FAR = (0, 0, 80, 0, 10, 10)


@pytest.mark.parametrize(
    ("truth", "found", "categories", "coco", "fada"),
    [
        # The second detection's best truth is taken; that another one fits as well does not help it.
        (boxes(T, (0, 0, 1, 0, 10, 10)), boxes((*T, 1.0), (0, 0, 0.2, 0, 10, 10, 0.9)), 1, 1.0, 51 / 101),
        # No true positive: one of the 101 points is 1 all the same.
        (boxes(T), boxes((*FAR, 1.0)), 1, 0.0, 1 / 101),
        (boxes(T), boxes(), 1, 0.0, 1 / 101),
        # A false positive ranked first.
        (
            boxes(T, (0, 0, 30, 0, 10, 10)),
            boxes((*FAR, 1.0), (*T, 0.9), (0, 0, 30, 0, 10, 10, 0.8)),
            1,
            2 / 3,
            (1 + 100 * 2 / 3) / 101,
        ),
        # A structure that is only predicted.
        (boxes(T), boxes((*T, 1.0), (0, 1, 0, 0, 10, 10, 1.0)), 2, 1.0, 0.5),
        # The true one comes after a hundred others.
        (boxes(T), boxes(*[(*FAR, 1.0)] * 149, (*T, 0.5)), 1, 0.0, (1 + 100 / 150) / 101),
    ],
    ids=["0.505", "0.0099", "nothing found", "0.6700", "0.5", "0.0165"],
)
def test_fadas_rules_differ_from_cocos_as_worked_by_hand(
    truth: Boxes, found: Boxes, categories: int, coco: float, fada: float
) -> None:
    assert means(rank_as_coco(truth, found, 1, categories))[1] == pytest.approx(coco)
    assert fada_at_50(truth, found, 1, categories) == pytest.approx(fada, abs=1e-12)


def test_of_equal_ious_fada_takes_the_first_truth() -> None:
    truth = boxes((0, 0, 0, 0, 10, 10), (0, 0, 2, 0, 10, 10))
    found = boxes((0, 0, 1, 0, 10, 10, 0.9), (0, 0, 2, 0, 10, 10, 0.8))
    assert rank_as_fada(truth, found, 1, 1)[0].hits[0].tolist() == [True, True]
    assert fada_at_50(truth, found) == pytest.approx(1.0)


def fada_by_loops(truth: Boxes, found: Boxes, categories: int, threshold: float) -> float:
    """The same rules written as a script would."""
    values = []
    for category in range(categories):
        truths = np.flatnonzero(truth.category == category)
        detections = list(np.flatnonzero(found.category == category))
        if not len(truths) and not detections:
            continue
        taken: set[int] = set()
        hits = []
        for place in sorted(detections, key=lambda place: -found.score[place]):
            best, best_iou = None, 0.0
            for other in truths[truth.frame[truths] == found.frame[place]]:
                x, y, width, height = found.xywh[place]
                u, v, other_width, other_height = truth.xywh[other]
                across = min(x + width, u + other_width) - max(x, u)
                down = min(y + height, v + other_height) - max(y, v)
                shared = max(across, 0) * max(down, 0)
                iou = shared / (width * height + other_width * other_height - shared)
                if iou > best_iou:
                    best, best_iou = other, iou
            hits.append(best is not None and best_iou >= threshold and best not in taken)
            if hits[-1]:
                taken.add(int(best))  # type: ignore[arg-type]
        if not len(truths):
            values.append(0.0)
            continue
        right = np.cumsum(hits)
        recalls = [0.0, *(right / len(truths))]
        precisions = [1.0, *(right / (np.arange(len(hits)) + 1))]
        points = [
            max([p for r, p in zip(recalls, precisions, strict=True) if r >= at], default=0.0)
            for at in np.linspace(0, 1, 101)
        ]
        values.append(float(np.mean(points)))
    return float(np.mean(values)) if values else float("nan")


@pytest.mark.parametrize("seed", range(4))
def test_fadas_precision_is_that_of_its_rules_in_plain_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = some_boxes(random, 40, 12, 3)
    found = near(random, truth)
    ranked = rank_as_fada(truth, found, 12, 4)
    values = fada_means(ranked, np.ones((1, 12), int))[0]
    assert values == pytest.approx([fada_by_loops(truth, found, 4, at) for at in (0.5, 0.75)], abs=1e-12)

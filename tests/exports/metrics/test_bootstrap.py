"""Intervals and tests: by subject, with shared draws, and as they would be computed plainly."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.metrics.bootstrap import Bootstrap, _quantiles, holm
from exports.metrics.box_matching import rank_as_coco
from exports.metrics.paired_precision import COCO_RULE, paired_differences
from tests.exports.metrics.judges import near, some_boxes

UNITS = [f"s{place // 3}" for place in range(60)]


def test_a_ratio_of_ones_is_the_mean_and_has_its_interval() -> None:
    scores = np.random.default_rng(1).random(60)
    draws = Bootstrap(UNITS)
    ratio, mean = draws.ratio(scores, np.ones(60)), draws.mean(scores.tolist())
    assert ratio.pop("ci95") == pytest.approx(mean.pop("ci95"))
    assert ratio == pytest.approx(mean)


def test_a_ratio_is_resampled_top_and_bottom_together() -> None:
    random = np.random.default_rng(2)
    bottoms = random.integers(1, 9, 60)
    figure = Bootstrap(UNITS).ratio(0.5 * bottoms, bottoms)
    assert figure["ci95"] == [0.5, 0.5]
    assert (figure["value"], figure["n"], figure["subjects"]) == (0.5, 60, 20)


def test_cases_without_a_share_in_a_ratio_are_not_counted() -> None:
    figure = Bootstrap(["a", "b", "c"]).ratio([1, 0, 0], [2, 0, 0])
    assert (figure["n"], figure["subjects"], figure["value"]) == (1, 1, 0.5)
    assert Bootstrap(["a"]).ratio([0], [0]) == {"value": None, "n": 0}


def test_a_quantile_has_an_interval_around_it() -> None:
    seconds = np.random.default_rng(3).exponential(2.0, 60)
    figure = Bootstrap(UNITS).quantile([*seconds[:59], None], 0.95)
    assert figure["value"] == pytest.approx(np.quantile(seconds[:59], 0.95))
    assert figure["n"] == 59
    assert figure["ci95"][0] < figure["value"] <= figure["ci95"][1]


def test_quantiles_of_resamples_are_numpys_of_the_repeated_values() -> None:
    random = np.random.default_rng(8)
    values, counts = np.sort(random.random(9)), random.integers(0, 4, (50, 9))
    counts[0] = 0
    for share in (0.5, 0.95):
        found = _quantiles(values, counts, share)
        expected = [np.quantile(np.repeat(values, row), share) for row in counts[1:]]
        assert np.allclose(found[1:], expected)
        assert np.isnan(found[0])


def test_the_difference_of_a_run_with_itself_is_nothing() -> None:
    tops, bottoms = np.random.default_rng(4).random(60), np.ones(60)
    figure = Bootstrap(UNITS).paired_ratio((tops, bottoms), (tops, bottoms))
    assert (figure["value"], figure["ci95"], figure["p"]) == (0.0, [0.0, 0.0], 1.0)


def test_a_paired_difference_is_as_that_of_means_and_tells_a_real_one() -> None:
    random = np.random.default_rng(5)
    first = random.random(60)
    second = first - 0.1 + random.normal(0, 0.05, 60)
    draws, ones = Bootstrap(UNITS), np.ones(60)
    figure = draws.paired_ratio((first, ones), (second, ones))
    plain = draws.difference(first.tolist(), second.tolist())
    assert figure["value"] == pytest.approx(plain["value"])
    assert figure["ci95"] == pytest.approx(plain["ci95"])
    assert figure["p"] == 1 / 2000
    assert draws.paired_ratio((second, ones), (first, ones))["value"] == pytest.approx(-figure["value"])


def test_without_a_difference_p_is_even() -> None:
    """Under the null hypothesis one p in five lies below .2."""
    p_values = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        pair = [(random.random(24), np.ones(24)) for _ in range(2)]
        p_values.append(Bootstrap(UNITS[:24], seed).paired_ratio(*pair)["p"])
    assert 0.05 < np.mean(np.array(p_values) < 0.2) < 0.35


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_holm_rejects_what_bonferroni_rejects_in_every_family_that_holds_it(p_values: list[float]) -> None:
    """The closed testing procedure that Holm's is a short cut of."""
    places = range(len(p_values))
    families = [some for size in range(1, len(p_values) + 1) for some in combinations(places, size)]
    closed = [
        max(min(len(some) * min(p_values[one] for one in some), 1.0) for some in families if place in some)
        for place in places
    ]
    assert holm(p_values) == pytest.approx(closed)


def test_precision_of_two_runs_is_permuted_as_if_their_frames_were_exchanged() -> None:
    """One weighting of both rankings gives what ranking the exchanged detections anew gives."""
    random = np.random.default_rng(6)
    truth = some_boxes(random, 60, 12, 2)
    runs = [near(random, truth, error) for error in (3.0, 12.0)]
    ranked = [rank_as_coco(truth, run, 12, 2, np.array([0.5, 0.75])) for run in runs]
    draws = Bootstrap([str(frame // 2) for frame in range(12)])
    figures = paired_differences(ranked[0], ranked[1], COCO_RULE, draws)

    def precision(found: list, columns: int = 2) -> np.ndarray:
        parts = [run.chosen(np.isin(run.frame, frames)) for run, frames in found]
        joined = type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts])
                                  for name in ("frame", "category", "xywh", "score")))  # fmt: skip
        both = rank_as_coco(truth, joined, 12, columns, np.array([0.5, 0.75]))
        once = np.ones((1, 12), int)
        return np.mean([COCO_RULE(one, once[:, one.frame], once @ one.truths)[0] for one in both], axis=0)

    everywhere, nowhere = np.arange(12), np.array([], int)
    gap = precision([(runs[0], everywhere), (runs[1], nowhere)]) - precision([(runs[1], everywhere)])
    assert [figure["value"] for figure in figures] == pytest.approx(gap.tolist())
    swaps = np.concatenate(list(draws.swaps_of_cases()))
    as_far = np.zeros(2)
    for swap in swaps[:200]:
        kept, moved = np.flatnonzero(~swap), np.flatnonzero(swap)
        first = precision([(runs[0], kept), (runs[1], moved)])
        second = precision([(runs[1], kept), (runs[0], moved)])
        as_far += np.abs(first - second) >= np.abs(gap) - 1e-12
    for figure, share in zip(figures, as_far / 200, strict=True):
        assert figure["p"] == pytest.approx(share, abs=0.1)
        assert figure["ci95"][0] < figure["value"] < figure["ci95"][1]

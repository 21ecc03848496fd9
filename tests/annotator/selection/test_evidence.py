"""Evidence: areas by hand, intervals against scipy, and the rule for what the queue serves."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from annotator.errors import InputError
from annotator.selection import BASELINE, Evidence
from annotator.selection.evidence import Round, recommend, weigh
from annotator.selection.gains import aulc, gain_over, interval_95, labels_saved

LABELS = (20, 40, 60, 80)


def rounds_of(strategy: str, curves: np.ndarray, balanced: float = 0.0) -> list[Round]:
    return [
        Round(seed=seed, strategy=strategy, round=turn, labels=LABELS[turn], value=value, balanced=value + balanced)
        for seed, curve in enumerate(curves.tolist())
        for turn, value in enumerate(curve)
    ]


def drawn_curves(seeds: int = 12) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.array([0.5, 0.6, 0.65, 0.7]) + 0.02 * draw.normal(size=(seeds, 4))


def weighed(rounds: Sequence[Round]) -> Evidence:
    return weigh(rounds, data="hc18", measure="Dice", start=20, step=20, test_frames=97, raw_sha256="0" * 64)


def test_the_area_is_that_of_trapezoids_over_the_span_of_labels() -> None:
    assert aulc([20, 40], [0.4, 0.6]) == pytest.approx(0.5)
    assert aulc([0, 10, 40], [0.0, 0.6, 0.8]) == pytest.approx((10 * 0.3 + 30 * 0.7) / 40)
    assert aulc(LABELS, [0.7] * 4) == pytest.approx(0.7)


@pytest.mark.parametrize(("labels", "values"), [([20], [0.5]), ([20, 20], [0.5, 0.6]), ([20, 40], [0.5]), ([], [])])
def test_a_curve_without_span_has_no_area(labels: list[int], values: list[float]) -> None:
    with pytest.raises(InputError, match="two rounds"):
        aulc(labels, values)


def test_gains_are_paired_by_seed() -> None:
    draw = np.random.default_rng(1)
    baseline = draw.normal(size=12)  # seeds differ far more than strategies
    other = baseline + 0.1 + 0.02 * draw.normal(size=12)
    gain = gain_over(baseline, other)
    assert gain.mean == pytest.approx((other - baseline).mean())
    assert gain.wins == 12
    assert gain.p == pytest.approx(stats.wilcoxon(other - baseline, zero_method="pratt").pvalue)
    assert 0.05 < gain.interval[0] < gain.mean < gain.interval[1] < 0.15


def test_the_interval_of_a_mean_is_about_students() -> None:
    values = np.random.default_rng(2).normal(size=10)
    low, high = interval_95(10, lambda rows: values[rows].mean(axis=-1))
    student = stats.t.interval(0.95, 9, values.mean(), stats.sem(values))
    assert (high - low) == pytest.approx(student[1] - student[0], rel=0.12)


def test_intervals_of_no_difference_hold_zero_about_as_often_as_they_should() -> None:
    draw = np.random.default_rng(3)
    misses = 0
    for _ in range(200):
        low, high = gain_over(np.zeros(10), draw.normal(size=10)).interval
        misses += not low <= 0 <= high
    assert misses <= 21  # 10 expected at 5 %, sd 3


@pytest.mark.parametrize(("first", "second"), [([0.1], [0.2]), ([0.1, 0.2], [0.1]), ([], [])])
def test_unpaired_or_lone_seeds_are_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(InputError, match="same seeds"):
        gain_over(first, second)


def test_ties_are_no_wins() -> None:
    gain = gain_over([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (gain.mean, gain.interval, gain.p, gain.wins) == (0.0, (0.0, 0.0), 1.0, 0)


@pytest.mark.parametrize(
    ("baseline", "other", "saved"),
    [
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.8, 0.8, 0.8], 40),  # there at 40 labels instead of 80
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.7, 0.9, 0.9], 30),  # crosses 0.8 midway between 40 and 60
        ([0.5, 0.8, 0.8, 0.8], [0.5, 0.6, 0.7, 0.8], -40),
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.7, 0.8], 0),
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.8, 0.6, 0.8], 40),  # a fall is not held against the labels
        ([0.5, 0.5, 0.5, 0.5], [0.5, 0.6, 0.7, 0.8], 0),  # both are there at the start
    ],
)
def test_labels_saved_is_the_gap_between_the_curves_at_the_end_both_reach(
    baseline: list[float], other: list[float], saved: float
) -> None:
    found, interval = labels_saved(LABELS, np.array([baseline] * 3), np.array([other] * 3))
    assert found == pytest.approx(saved)
    assert interval == pytest.approx((saved, saved))


def test_a_strategy_that_gains_in_every_seed_is_recommended() -> None:
    curves = drawn_curves()
    evidence = weighed(
        [
            *rounds_of(BASELINE, curves),
            *rounds_of("uncertainty", curves + 0.01),
            *rounds_of("k-center", curves + 0.03, balanced=0.02),
            *rounds_of("typical", curves - 0.02),
        ]
    )
    assert evidence.recommended == "k-center"
    found = evidence.of("k-center")
    assert found is not None
    assert (found.gain, found.balanced_gain) == (pytest.approx(0.03), pytest.approx(0.05))
    assert found.gain_interval == pytest.approx((0.03, 0.03))
    assert (found.wins, found.seeds, evidence.rounds, evidence.seeds) == (12, 12, 3, 12)
    assert evidence.of("typical").helps is False  # type: ignore[union-attr]
    assert evidence.of(BASELINE) is None
    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence
    assert evidence.curves[0].mean == pytest.approx(curves.mean(axis=0))


def test_the_baseline_is_served_where_the_interval_includes_zero() -> None:
    noise = np.random.default_rng(5).normal(size=(12, 1))
    evidence = weighed([*rounds_of(BASELINE, drawn_curves()), *rounds_of("hybrid", drawn_curves() + 0.05 * noise)])
    found = evidence.of("hybrid")
    assert found is not None
    assert found.gain_interval[0] < 0 < found.gain_interval[1]
    assert evidence.recommended == BASELINE


def test_the_baseline_is_served_where_nothing_was_tried_or_all_lose() -> None:
    assert recommend([]) == BASELINE
    curves = drawn_curves()
    assert weighed([*rounds_of(BASELINE, curves), *rounds_of("hybrid", curves - 0.1)]).recommended == BASELINE


def test_a_seed_that_is_not_finished_for_every_strategy_does_not_count() -> None:
    curves = drawn_curves(4)
    rounds = [*rounds_of(BASELINE, curves), *rounds_of("hybrid", curves)[:-1]]
    assert weighed(rounds).seeds == 3


@pytest.mark.parametrize(
    ("rounds", "told"),
    [
        (rounds_of("hybrid", drawn_curves(3)), "nothing to compare with"),
        (rounds_of(BASELINE, drawn_curves(1)), "two seeds"),
        (rounds_of(BASELINE, drawn_curves(3)[:, :1]), "two seeds"),
        ([], "nothing to compare with"),
    ],
)
def test_too_little_is_no_evidence(rounds: list[Round], told: str) -> None:
    with pytest.raises(InputError, match=told):
        weighed(rounds)

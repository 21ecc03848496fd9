"""Scores are probabilities that mean what the model card says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.embedded.scores import Calibration, logit, sigmoid, softmax
from backends.training.calibrate import platt, temperature

SETTINGS = {
    "head": [1.5, -2.0],
    "boxes": {"NT": [1.0, 0.5]},
    "view_temperature": 1.0,
    "plane_temperature": 2.0,
    "least_head_score": 0.05,
    "least_box_score": 0.05,
}


@given(st.floats(allow_nan=False), st.floats(0, 1))
def test_whatever_the_networks_say_scores_stay_between_0_and_1(heat: float, agreement: float) -> None:
    calibration = Calibration.from_settings(SETTINGS)
    assert 0 <= calibration.box_score("NT", heat) <= 1
    assert 0 <= calibration.head_score(agreement) <= 1


@given(st.floats(-12, 12))
def test_logit_undoes_sigmoid(value: float) -> None:
    assert logit(sigmoid(value)) == pytest.approx(value, abs=1e-3)


def test_a_higher_temperature_is_less_sure() -> None:
    logits = np.array([2.0, 0.0, -1.0], np.float32)
    warm = Calibration.from_settings(SETTINGS).plane_probabilities(logits)
    assert warm.max() < softmax(logits).max()
    assert warm.sum() == pytest.approx(1)


def test_calibration_finds_the_odds_that_made_the_hits() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, 4000)
    hits = rng.random(4000) < 1 / (1 + np.exp(-(0.8 * values - 0.6)))
    slope, offset = platt(values.tolist(), hits.tolist(), strength=0.0)
    assert (slope, offset) == pytest.approx((0.8, -0.6), abs=0.1)


@pytest.mark.parametrize("hits", [[True] * 20, [False] * 20], ids=["only hits", "only misses"])
def test_calibration_on_one_sided_evidence_stays_modest(hits: list[bool]) -> None:
    slope, offset = platt([1.0] * 20, hits)
    assert 0.02 < sigmoid(slope * 1.0 + offset) < 0.98


def test_calibration_without_evidence_changes_nothing() -> None:
    assert platt([], []) == (1.0, 0.0)
    assert temperature([]) == 1.0


def test_overconfident_logits_get_a_temperature_above_1() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 3, 500)
    logits = rng.normal(0, 1, (500, 3))
    logits[np.arange(500), right] += 1.0
    assert temperature([(3 * row, int(answer)) for row, answer in zip(logits, right, strict=True)]) > 2

"""Studies simulated from a known truth: intervals hold it at their nominal rate, tests keep their level."""

import numpy as np
import pytest

from review.agreement import Weighting
from tests.review import truth

RUNS = 300


def near(rate: float, nominal: float, runs: int = RUNS) -> bool:
    """Within 3 standard errors of the nominal rate."""
    return abs(rate - nominal) < 3 * (nominal * (1 - nominal) / runs) ** 0.5


@pytest.mark.parametrize("name", truth.INTERVALS)
def test_intervals_hold_the_truth_at_their_nominal_rate(name: str) -> None:
    assert near(truth.INTERVALS[name](RUNS), 0.95)


@pytest.mark.parametrize("name", truth.TESTS)
def test_tests_keep_their_level_when_nothing_differs(name: str) -> None:
    rate = truth.TESTS[name](RUNS)
    assert rate < 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5
    assert rate > 0  # an exact test of few grades is cautious, but not mute


def test_an_interval_that_is_too_narrow_would_be_noticed() -> None:
    # Frames of one subject taken as independent: what the cluster bootstrap is there to prevent.
    assert not near(truth.mean_of_clustered_frames(RUNS, as_if_independent=True), 0.95)


def test_the_truth_of_agreement_is_that_of_a_large_study() -> None:
    alpha, ac2 = truth.true_agreement(Weighting.QUADRATIC)
    assert 0 < alpha < ac2 < 1
    assert np.isfinite(alpha)

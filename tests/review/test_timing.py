"""Washout, sittings and clocks that jump."""

from typing import Any

import pytest

from annotator.studies import Study
from review import timing

HOUR = 3600.0


def a_study_of(**more: Any) -> Study:
    fixed: dict[str, Any] = {"name": "x", "title": "x", "batches": (), "versions": ("a",), "readers": ("anna",)}
    return Study(**fixed, algorithm="x", secret="x", rubric="x", **more)


def test_the_second_period_opens_when_the_washout_after_the_last_case_is_over() -> None:
    study = a_study_of(washout_days=2)
    finished = [0.0, 10 * HOUR]
    assert timing.washout_until(study, finished, 20 * HOUR) == 58 * HOUR
    assert timing.washout_until(study, finished, 58 * HOUR) is None
    assert timing.washout_until(study, [], 0.0) is None


def test_a_break_begins_a_new_sitting() -> None:
    times = [0.0, 60.0, 120.0, 5000.0, 5060.0]
    sitting = timing.sitting_of(times, 5100.0, break_s=1800)
    assert (sitting.cases, sitting.started_at, sitting.last_at) == (2, 5000.0, 5060.0)
    assert timing.sitting_of(times, 5060.0 + 1800, break_s=1800).cases == 0


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, None),
        ({"session_cases": 3}, 120 + 1800),
        ({"session_cases": 4}, None),
        ({"session_minutes": 3}, 120 + 1800),
        ({"session_minutes": 4}, None),
    ],
)
def test_a_full_or_long_sitting_ends_until_the_break_is_over(
    limits: dict[str, Any], expected: float | None
) -> None:
    study = a_study_of(**limits)
    sitting = timing.sitting_of([0.0, 60.0, 120.0], 180.0, 1800)
    assert timing.limit_until(study, sitting, 180.0) == expected


def test_a_clock_that_was_ahead_for_a_while_makes_nobody_wait_for_it() -> None:
    year = 365 * 86_400.0
    times = [100.0, 200.0 + year, 300.0 + year, 400.0]
    assert timing.mended(times, now=500.0) == [100.0, 400.0, 400.0, 400.0]
    study = a_study_of(washout_days=1, session_cases=50)
    assert timing.washout_until(study, times, 500.0) == 400.0 + 86_400
    assert timing.sitting_of(times, 500.0, 1800).cases == 4


def test_a_clock_that_jumped_back_before_everything_still_gives_a_sitting() -> None:
    study = a_study_of(session_cases=2, session_minutes=10)
    sitting = timing.sitting_of([5000.0, 6000.0], 10.0, 1800)
    assert sitting.cases == 2
    assert timing.limit_until(study, sitting, 10.0) == 10.0 + 1800
    assert timing.minutes_left(study, sitting, 10.0) == 10.0

"""When a reader may go on: the washout between periods, and the limits of one sitting. Pure; times in seconds.

Clocks are set back and forth. Cases are finished in the order of the plan: a time later than one that follows it,
or later than now, is wrong, and is taken for the latest that it can have been.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from annotator.studies import Study

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Sitting:
    """How many cases were finished since the last break, and since when (None before the first)."""

    cases: int
    started_at: float | None
    last_at: float | None


def mended(times: Sequence[float], now: float) -> list[float]:
    """Return times that never run backwards and never lie ahead.

    >>> mended([10.0, 900.0, 20.0, 800.0], now=30.0)
    [10.0, 20.0, 20.0, 30.0]
    """
    latest, found = now, []
    for at in reversed(times):
        latest = min(at, latest)
        found.append(latest)
    return found[::-1]


def sitting_of(times: Sequence[float], now: float, break_s: float) -> Sitting:
    """Return the sitting that goes on at `now`, given when cases were finished."""
    cases, started_at, before = 0, None, now
    known = mended(times, now)
    for at in reversed(known):
        if before - at >= break_s:
            break
        cases, started_at, before = cases + 1, at, at
    return Sitting(cases, started_at, known[-1] if cases else None)


def washout_until(study: Study, finished_before: Sequence[float], now: float) -> float | None:
    """Return when a period opens, or None where it is open: washout after the last case of the periods before."""
    if not finished_before:
        return None
    until = mended(finished_before, now)[-1] + study.washout_days * DAY_S
    return until if until > now else None


def limit_until(study: Study, sitting: Sitting, now: float) -> float | None:
    """Return when the next sitting may begin, or None while this one may go on."""
    if sitting.last_at is None or sitting.started_at is None:
        return None
    is_full = study.session_cases is not None and sitting.cases >= study.session_cases
    is_long = study.session_minutes is not None and now - sitting.started_at >= study.session_minutes * 60
    return sitting.last_at + study.break_minutes * 60 if is_full or is_long else None


def minutes_left(study: Study, sitting: Sitting, now: float) -> float | None:
    """Return what is left of a sitting, None where it has no limit."""
    if study.session_minutes is None:
        return None
    begun = sitting.started_at if sitting.started_at is not None else now
    return round(max(0.0, study.session_minutes - (now - begun) / 60), 1)


def moment(at: float) -> datetime:
    """Return a time as UTC."""
    return datetime.fromtimestamp(at, UTC)

"""Picks: which frame to label next, by which strategy, and why; a share of them always drawn at random."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from annotator.errors import InputError
from annotator.schema import Record
from annotator.selection.pool import Pool, Rows
from annotator.selection.strategies import BASELINE, STRATEGIES, Strategy

LEAST_SHARE, MOST_SHARE = 0.1, 0.2


class Pick(Record):
    """One frame to label, or to look at again."""

    frame_id: str
    by: str = Field(description="the strategy that picked it, or stratified-random")
    value: float | None = Field(default=None, description="the number that the strategy saw")
    reason: str = ""


def pick(strategy: str, pool: Pool, count: int, *, seed: int, random_share: float = 0.15) -> list[Pick]:
    """Return at most `count` picks, the first to label coming first, one frame of each unit at most.

    `random_share` (0.1 to 0.2) of every beginning of the list is stratified random, to half a frame: labels that no
    model chose keep the data honest and the strategy measurable. Equal pools and seeds give equal picks.

    Raises InputError for an unknown strategy, a share out of range, a negative count, or a pool that lacks what the
    strategy needs.
    """
    chosen = _strategy(strategy)
    if not LEAST_SHARE <= random_share <= MOST_SHARE:
        raise InputError(f"the random share must be {LEAST_SHARE} to {MOST_SHARE}, got {random_share}")
    if count < 0:
        raise InputError(f"the number of frames to pick must not be negative, got {count}")
    rng = np.random.default_rng(seed)
    baseline = STRATEGIES[BASELINE]
    total = min(count, len(set(pool.units)))
    if strategy == BASELINE:
        return _picks(baseline, pool, baseline.order(pool, total, rng))
    places = random_places(total, random_share)
    by_chance = baseline.order(pool, len(places), rng)
    rest = pool.labelling(by_chance)
    ordered = iter(_picks(chosen, rest, chosen.order(rest, total - len(places), rng)))
    drawn = iter(_picks(baseline, pool, by_chance))
    return [next(drawn if place in places else ordered) for place in range(total)]


def random_places(total: int, share: float) -> frozenset[int]:
    """Places of a list that chance fills: the first k hold `share` x k of them, rounded.

    >>> sorted(random_places(20, 0.15))
    [3, 9, 16]
    """
    held = [math.floor(share * k + 0.5) for k in range(total + 1)]
    return frozenset(place for place in range(total) if held[place + 1] > held[place])


def _strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise InputError(f"there is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def _picks(strategy: Strategy, pool: Pool, rows: Rows) -> list[Pick]:
    values = strategy.values(pool) if len(rows) else None
    picks = []
    for row in rows.tolist():
        value = None if values is None or math.isnan(values[row]) else round(float(values[row]), 6)
        picks.append(Pick(frame_id=pool.ids[row], by=strategy.name, value=value, reason=strategy.reason))
    return picks

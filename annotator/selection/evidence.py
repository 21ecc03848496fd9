"""Does a strategy save labels? Learning curves of a replayed loop, paired by seed, against stratified random.

The gain is the difference in the area under the learning curve (AULC). The interval is a bootstrap over seeds,
widened for few seeds; the p value is Wilcoxon's signed-rank test. The rule is made before anything is seen: the
queue serves the strategy with the largest gain whose interval lies above zero, and stratified random where there
is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np
from pydantic import Field

from annotator.errors import InputError
from annotator.schema import Record, new_id, utc_now
from annotator.selection.gains import Interval, Values, aulc, gain_over, interval_95, labels_saved
from annotator.selection.scored import BASELINE


class Round(Record):
    """One training of a replayed loop: so many labels, so good on the frozen test frames."""

    seed: int
    strategy: str
    round: int
    labels: int
    value: float
    balanced: float = Field(description="the same measure, every stratum of the test frames counting the same")
    picked: tuple[str, ...] = Field(default=(), description="frames that were labelled next")
    by_chance: int = Field(default=0, description="how many of them were drawn at random")
    seconds: float = 0.0


class Curve(Record):
    """A learning curve over seeds: mean and the interval of the mean after each round."""

    strategy: str
    labels: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class StrategyEvidence(Record):
    """One strategy against stratified random; intervals are 95 %."""

    strategy: str
    gain: float = Field(description="difference in AULC, in units of the measure")
    gain_interval: Interval
    p: float = Field(description="Wilcoxon signed-rank, two-sided, not corrected for the number of strategies")
    wins: int
    seeds: int
    labels_saved: float = Field(description="fewer labels for the same end; negative where more are needed")
    labels_saved_interval: Interval
    balanced_gain: float
    balanced_interval: Interval

    @property
    def helps(self) -> bool:
        """Whether the interval of the gain lies above zero."""
        return self.gain_interval[0] > 0


class Evidence(Record):
    """What one simulation showed."""

    kind: Literal["evidence"] = "evidence"
    evidence_id: str = Field(default_factory=lambda: new_id("evd"))
    data: str
    measure: str
    start: int
    step: int
    rounds: int
    seeds: int
    test_frames: int
    baseline: str = BASELINE
    curves: tuple[Curve, ...]
    strategies: tuple[StrategyEvidence, ...]
    recommended: str
    raw_sha256: str
    created_at: datetime = Field(default_factory=utc_now)

    def of(self, strategy: str) -> StrategyEvidence | None:
        """Return what is known of a strategy; None for the baseline and for what was not tried."""
        return next((one for one in self.strategies if one.strategy == strategy), None)


def weigh(
    rounds: Sequence[Round], *, data: str, measure: str, start: int, step: int, test_frames: int, raw_sha256: str
) -> Evidence:
    """Turn the raw results into Evidence, over the seeds for which every strategy is finished.

    Raises InputError where the baseline is missing or fewer than two seeds are finished.
    """
    curves = _Curves(rounds)
    strategies = tuple(_evidence(curves, name) for name in curves.strategies if name != BASELINE)
    return Evidence(
        data=data,
        measure=measure,
        start=start,
        step=step,
        rounds=len(curves.labels) - 1,
        seeds=len(curves.seeds),
        test_frames=test_frames,
        curves=tuple(_curve(curves, name) for name in curves.strategies),
        strategies=strategies,
        recommended=recommend(strategies),
        raw_sha256=raw_sha256,
    )


def recommend(strategies: Sequence[StrategyEvidence]) -> str:
    """The strategy with the largest gain whose interval lies above zero, else the baseline."""
    helping = [one for one in strategies if one.helps]
    return max(helping, key=lambda one: one.gain).strategy if helping else BASELINE


class _Curves:
    """Rounds as arrays (seeds, rounds) for each strategy, of the seeds that all strategies have finished."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.strategies = tuple(dict.fromkeys(row.strategy for row in rounds))
        if BASELINE not in self.strategies:
            raise InputError(f"there is nothing to compare with: simulate {BASELINE} too")
        self._by_key = {(row.strategy, row.seed, row.round): row for row in rounds}
        last = max(row.round for row in rounds)
        self.seeds = tuple(
            seed
            for seed in sorted({row.seed for row in rounds})
            if all((name, seed, turn) in self._by_key for name in self.strategies for turn in range(last + 1))
        )
        if len(self.seeds) < 2 or last == 0:
            raise InputError("fewer than two seeds are finished for every strategy; let the simulation go on")
        self._turns = range(last + 1)
        self.labels = tuple(self._by_key[BASELINE, self.seeds[0], turn].labels for turn in self._turns)

    def of(self, strategy: str, part: str) -> Values:
        rows = [[self._by_key[strategy, seed, turn] for turn in self._turns] for seed in self.seeds]
        return np.array([[getattr(row, part) for row in seed] for seed in rows], np.float64)

    def areas(self, strategy: str, part: str) -> Values:
        return np.array([aulc(self.labels, values) for values in self.of(strategy, part)])


def _evidence(curves: _Curves, name: str) -> StrategyEvidence:
    gain = gain_over(curves.areas(BASELINE, "value"), curves.areas(name, "value"))
    balanced = gain_over(curves.areas(BASELINE, "balanced"), curves.areas(name, "balanced"))
    saved, saved_interval = labels_saved(curves.labels, curves.of(BASELINE, "value"), curves.of(name, "value"))
    return StrategyEvidence(
        strategy=name,
        gain=gain.mean,
        gain_interval=gain.interval,
        p=gain.p,
        wins=gain.wins,
        seeds=len(curves.seeds),
        labels_saved=saved,
        labels_saved_interval=saved_interval,
        balanced_gain=balanced.mean,
        balanced_interval=balanced.interval,
    )


def _curve(curves: _Curves, name: str) -> Curve:
    values = curves.of(name, "value")
    bands = [
        interval_95(len(values), lambda rows, column=column: column[rows].mean(axis=-1))  # type: ignore[misc]
        for column in values.T
    ]
    return Curve(
        strategy=name,
        labels=curves.labels,
        mean=tuple(values.mean(axis=0).tolist()),
        low=tuple(low for low, _ in bands),
        high=tuple(high for _, high in bands),
    )

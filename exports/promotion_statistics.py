"""What the gate of promotion reckons with: samples of paired scores, errors by subject, what equal versions do."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from annotator.learning import Comparison

LEAST_SUBJECTS = 10
ONE_SIDED = 0.025
ALIKE = (
    0.5  # correlation of the scores of equal versions that is reckoned with; one learns from the other's weights
)
ALL = "all"

Measure = Literal["dice", "detection", "plane"]
MEASURES: tuple[Measure, ...] = ("dice", "detection", "plane")
NEARLY_BINARY = ("detection", "plane")
Scores = Mapping[tuple[str, str], float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedFrame:
    """The scores of two versions on one frame, each (measure, what) -> 0..1; `unit` is its subject."""

    unit: str
    old: Scores
    new: Scores


@dataclass
class Sample:
    """Paired scores of a structure, a plane or a whole measure; `parts` counts what each frame's is the mean of."""

    measure: Measure
    what: str
    is_whole: bool
    old: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)

    def add(self, unit: str, pairs: Sequence[tuple[float, float]]) -> None:
        """Add a frame: its score is the mean of those of its structures, each (old, new)."""
        self.old.append(sum(old for old, _ in pairs) / len(pairs))
        self.new.append(sum(new for _, new in pairs) / len(pairs))
        self.units.append(unit)
        self.parts.append(len(pairs))

    @property
    def subjects(self) -> int:
        """How many there are."""
        return len(set(self.units))

    @property
    def step(self) -> float:
        """What a frame more or less changes its score by, where scores are nearly all or nothing; else 0."""
        return len(self.parts) / sum(self.parts) if self.measure in NEARLY_BINARY else 0.0


def samples_of(frames: Sequence[PairedFrame]) -> list[Sample]:
    """Sort the frames' scores by structure and plane, each measure as a whole before its parts."""
    samples = []
    for measure in MEASURES:
        whole, single = Sample(measure, ALL, True), dict[str, Sample]()
        for frame in frames:
            pairs = _pairs(frame, measure)
            for what, pair in pairs.items():
                single.setdefault(what, Sample(measure, what, False)).add(frame.unit, [pair])
            if pairs:
                whole.add(frame.unit, list(pairs.values()))
        if len(single) == 1:
            whole.what = next(iter(single))
        if single:
            samples += [whole, *(single[what] for what in sorted(single) if len(single) > 1)]
    return samples


def _pairs(frame: PairedFrame, measure: Measure) -> dict[str, tuple[float, float]]:
    """A structure that neither the reference nor a version names in a frame has no score there: that is right."""
    named = sorted({what for kind, what in {*frame.old, *frame.new} if kind == measure})
    return {what: (frame.old.get((measure, what), 1.0), frame.new.get((measure, what), 1.0)) for what in named}


def compared(sample: Sample, margin: float, level: float) -> Comparison:
    """Compare on one sample; `level` is the chance with which an equal version may be shown to be worse."""
    old, new = np.array(sample.old), np.array(sample.new)
    rule = _rule(sample, old, margin, level)
    mean, error = _mean_and_error(new - old, sample.units, sample.step)
    low, high = max(mean - rule.bound * error, -1.0), min(mean + rule.bound * error, 1.0)
    difference, plain_error = _mean_and_error(new - old, sample.units, 0.0)
    is_worse = difference < -rule.strict * plain_error or (sample.is_whole and difference < -margin)
    has_verdict = sample.subjects >= LEAST_SUBJECTS
    return Comparison(
        measure=sample.measure,
        what=sample.what,
        old=float(old.mean()),
        new=float(new.mean()),
        difference=difference,
        ci95=(low, high),
        margin=margin,
        frames=len(old),
        subjects=sample.subjects,
        is_judged=rule.is_judged,
        is_acceptable=not has_verdict or low > -margin or not (rule.is_judged or is_worse),
        refusal_if_equal=rule.refusal_if_equal,
        unproven_if_equal=rule.unproven_if_equal,
    )


@dataclass(frozen=True)
class _Rule:
    """How a sample is to be compared, known before the new version is: t quantiles, and what equal versions do."""

    bound: float
    strict: float
    is_judged: bool
    refusal_if_equal: float
    unproven_if_equal: float


def _rule(sample: Sample, old: Floats, margin: float, level: float) -> _Rule:
    free = max(sample.subjects - 1, 1)
    bound, strict = float(student.ppf(1 - ONE_SIDED, free)), float(student.ppf(1 - level, free))
    error = _error_of_equals(old, sample)
    reach = margin / error if error else math.inf
    unproven = float(student.sf(reach - bound, free))
    if sample.subjects < LEAST_SUBJECTS:
        return _Rule(bound, strict, False, 0.0, 1.0)
    if reach >= bound + strict:
        return _Rule(bound, strict, True, unproven, unproven)
    refusal = float(student.sf(min(reach, strict), free)) if sample.is_whole else level
    return _Rule(bound, strict, False, refusal, unproven)


def _mean_and_error(values: Floats, units: Sequence[str], step: float) -> tuple[float, float]:
    """Mean over frames and its standard error by subject, two frames of +step and -step added where step > 0."""
    added = 2 if step else 0
    mean = float(values.sum()) / (len(values) + added)
    squares = _squares(values - mean, units) + added * step**2
    return mean, math.sqrt(squares) / (len(values) + added)


def _error_of_equals(old: Floats, sample: Sample) -> float:
    """Standard error of the difference from a version as good as the old one, their errors `ALIKE`."""
    added = 2 if sample.step else 0
    squares = 2 * (1 - ALIKE) * _squares(old - old.mean(), sample.units) + added * sample.step**2
    return math.sqrt(squares) / (len(old) + added)


def _squares(residuals: Floats, units: Sequence[str]) -> float:
    """Sum of the squared sums of each subject's residuals, G / (G - 1) times; infinite for one subject."""
    sums: dict[str, float] = defaultdict(float)
    for unit, residual in zip(units, residuals.tolist(), strict=True):
        sums[unit] += residual
    count = len(sums)
    return count / (count - 1) * sum(value**2 for value in sums.values()) if count > 1 else math.inf

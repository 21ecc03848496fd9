"""Is a new model version no worse than the old one? Paired by frame, clustered by subject.

Each structure (Dice, F1 of boxes) and each plane is compared, and all of a measure together (`all`). The rules are
fixed, like the margins, before anything is measured.

- A comparison is *judged* by non-inferiority: the lower end of its 95% interval, a one-sided bound at 2.5% (ICH E9,
  section 3.3.2), must lie above -margin. All that are judged must pass, so of the versions that are worse by the
  margin at most 2.5% do (intersection-union test, Berger 1982).
- Small samples cannot show non-inferiority whatever is true. So a comparison is judged where an equal version, its
  scores correlated with the old one's by `ALIKE`, would nearly always pass. This is read off the old version's
  scores alone: a new one cannot escape by being erratic. Where there are too few frames for that, the new
  version must not be shown to be worse, and in a measure as a whole it must not have lost more than the margin.
- Below `LEAST_SUBJECTS` subjects there is no verdict: the frames count in `all`.
- What is not judged proves nothing: at least one measure as a whole must be shown to be no worse.

What is in doubt stays out: to refuse an equal version costs a training, not a patient. How often that happens is
declared with every decision (`share_of_equals_refused`), from the old version's scores alone: about
`LEVEL` where the frozen set is large enough for its margins, more where it is small.

Intervals are cluster-robust t intervals (Liang and Zeger 1986; subjects - 1 degrees of freedom) of the mean
difference over frames. For scores that are mostly 0 or 1 such an interval is too short where losses are rare:
with none seen it has no width. There two frames are added, one won and one lost, as Bonett and Price (2012) do for
paired shares. A kind of failure that is rarer than one frame in the set is seen by no interval.
"""

import math
from collections import Counter
from collections.abc import Sequence

from annotator.errors import InputError
from annotator.learning import Comparison, Decision, Margins
from exports.metrics.cases import Case
from exports.metrics.per_frame import frame_scores
from exports.promotion_statistics import ALL, LEAST_SUBJECTS, PairedFrame, compared, samples_of

# Of equal versions so many may be shown to be worse by chance, in all comparisons together (Bonferroni); and what
# of it the measures as wholes may take up, where a loss is seen best. Their parts get the rest.
LEVEL = 0.10
OF_WHOLES = 0.75


def pair_frames(old: Sequence[Case], new: Sequence[Case]) -> list[PairedFrame]:
    """Score two versions on the same frames; InputError where the frames or their labels are not the same."""
    by_key = {(case.frame.frame_id, case.truth.correction_id): case for case in new}
    keys = [(case.frame.frame_id, case.truth.correction_id) for case in old]
    if len(by_key) < len(new) or len(set(keys)) < len(keys) or set(by_key) != set(keys):
        raise InputError("the two versions were not asked about the same frames; ask both about all of them")
    pairs = zip(old, (by_key[key] for key in keys), strict=True)
    return [PairedFrame(before.unit, frame_scores(before), frame_scores(after)) for before, after in pairs]


def compare(old: Sequence[Case], new: Sequence[Case], margins: Margins) -> tuple[Comparison, ...]:
    """Compare two versions on the same frames, each measure as a whole first; a failed frame of either scores 0."""
    return compare_scores(pair_frames(old, new), margins)


def compare_scores(frames: Sequence[PairedFrame], margins: Margins) -> tuple[Comparison, ...]:
    """Compare versions by their frames' scores; what only one version is scored on, the other got right: 1."""
    samples = samples_of(frames)
    counts = Counter(sample.is_whole for sample in samples if sample.subjects >= LEAST_SUBJECTS)
    levels = {
        True: LEVEL * OF_WHOLES / max(counts[True], 1),
        False: LEVEL * (1 - OF_WHOLES) / max(counts[False], 1),
    }
    return tuple(compared(one, getattr(margins, one.measure), levels[one.is_whole]) for one in samples)


def decide(comparisons: Sequence[Comparison]) -> tuple[Decision, tuple[str, ...]]:
    """Promote where every comparison is acceptable and a whole measure is shown to be no worse; and say why."""
    reasons = tuple(_reason(one) for one in comparisons)
    wholes = _wholes(comparisons)
    if not wholes:
        most = max((one.subjects for one in comparisons), default=0)
        small = f"kept: the frozen set has {most} labelled subjects, at least {LEAST_SUBJECTS} are needed"
        return Decision.KEPT, (*reasons, small)
    chance = share_of_equals_refused(comparisons)
    share = f"an equal version would be refused here with a chance of at most {chance:.0%}"
    refused = [f"{one.measure} of {one.what}" for one in comparisons if not one.is_acceptable]
    if refused:
        return Decision.KEPT, (*reasons, share, f"kept: it may be worse in {', '.join(refused)}")
    if not any(map(_is_no_worse, wholes)):
        return Decision.KEPT, (*reasons, share, "kept: nothing shows that it is no worse; label more test frames")
    return Decision.PROMOTED, (*reasons, share)


def share_of_equals_refused(comparisons: Sequence[Comparison]) -> float:
    """Return the largest share of equal versions that these rules refuse on this frozen set.

    For versions whose scores correlate with the old one's by `ALIKE`; those that err on the same frames more often
    are refused more seldom. Chances are put together as if independent, which is too many where they are not.
    """
    unproven = min((one.unproven_if_equal for one in _wholes(comparisons)), default=1.0)
    return 1.0 - (1.0 - unproven) * math.prod(1.0 - one.refusal_if_equal for one in comparisons)


def _wholes(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those of a whole measure that have a verdict; a measure of one structure or plane is whole by itself."""
    count = Counter(one.measure for one in comparisons)
    wholes = [one for one in comparisons if one.what == ALL or count[one.measure] == 1]
    return [one for one in wholes if one.subjects >= LEAST_SUBJECTS]


def _is_no_worse(one: Comparison) -> bool:
    return one.ci95[0] > -one.margin


def _reason(one: Comparison) -> str:
    low, high = one.ci95
    figures = (
        f"{one.measure} of {one.what}: {one.old:.4f} -> {one.new:.4f}, {one.difference:+.4f} "
        f"({low:+.4f} to {high:+.4f}), margin {one.margin:g}, {one.frames} frames of {one.subjects} subjects"
    )
    return f"{figures}: {_verdict(one)}"


def _verdict(one: Comparison) -> str:
    if one.subjects < LEAST_SUBJECTS:
        return f"too few to judge, it counts in '{ALL}'" if one.what != ALL else "too few to judge"
    if _is_no_worse(one):
        return "no worse"
    if one.is_judged:
        return "NOT shown to be within the margin"
    return f"{'not shown to be worse' if one.is_acceptable else 'WORSE'}; too few to judge by the margin"

"""The gate: a worse version does not pass, one that is as good is seldom refused, and every rule is kept."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, ttest_rel

from annotator.errors import InputError
from annotator.learning import Comparison, Decision, Margins
from annotator.schema import Frame, Prediction
from exports.metrics.cases import Case
from exports.promotion import compare, compare_scores, decide, share_of_equals_refused
from exports.promotion_statistics import LEAST_SUBJECTS, PairedFrame
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction

Random = np.random.Generator
STRUCTURES = ("NT", "nasal_bone", "CM")


def pairs(
    measure: str, what: str, old: Iterable[float], new: Iterable[float], *, per_subject: int = 1
) -> list[PairedFrame]:
    """Frames with one score of each version, so many of a subject."""
    key = (measure, what)
    return [
        PairedFrame(f"s{place // per_subject}", {key: float(one)}, {key: float(other)})
        for place, (one, other) in enumerate(zip(old, new, strict=True))
    ]


def only(frames: Sequence[PairedFrame], **margins: float) -> Comparison:
    (comparison,) = compare_scores(frames, Margins(**margins))
    return comparison


def decision_on(frames: Sequence[PairedFrame], **margins: float) -> Decision:
    return decide(compare_scores(frames, Margins(**margins)))[0]


def a_case(seed: int, said: str | None, *, subject: str | None = None) -> Case:
    """A frame with a head and a plane; what is said of it is `right`, `wrong`, or None for a failure."""
    frame = a_frame(seed, subject=subject or f"s{seed}")
    head = a_masked_finding(a_mask())
    truth = a_correction(frame, findings=(head,), plane="Trans-thalamic", is_truth=True, correction_id=f"c{seed}")
    return Case(frame, truth, None if said is None else a_reading(frame, said))


def a_reading(frame: Frame, said: str) -> Prediction:
    box = (4, 5, 20, 15) if said == "right" else (0, 0, 3, 3)
    plane = "Trans-thalamic" if said == "right" else "Trans-cerebellum"
    return a_prediction(frame, findings=(a_masked_finding(a_mask(box=box), score=0.9),), plane=plane)


def test_the_same_answers_differ_by_nothing_and_pass() -> None:
    old = [a_case(seed, "right") for seed in range(20)]
    comparisons = compare(old, list(reversed(old)), Margins())
    assert [(one.measure, one.what) for one in comparisons] == [
        ("dice", "Brain"),
        ("detection", "Brain"),
        ("plane", "Trans-thalamic"),
    ]
    assert {one.difference for one in comparisons} == {0.0}
    assert decide(comparisons)[0] is Decision.PROMOTED


def test_a_frame_on_which_the_new_version_fails_scores_nothing() -> None:
    old = [a_case(seed, "right") for seed in range(20)]
    new = [a_case(seed, None if seed < 8 else "right") for seed in range(20)]
    comparisons = compare(old, new, Margins())
    assert [one.new for one in comparisons] == pytest.approx([0.6, 0.6, 0.6])
    decision, reasons = decide(comparisons)
    assert decision is Decision.KEPT
    assert "dice of Brain" in reasons[-1]


def test_a_structure_that_is_only_hallucinated_counts_against_the_version_that_does_so() -> None:
    def case(seed: int, extra: bool) -> Case:
        frame = a_frame(seed, subject=f"s{seed}")
        truth = a_correction(frame, findings=(a_finding("NT"),), is_truth=True, correction_id=f"c{seed}")
        found = (a_finding("NT", score=0.9), *([a_finding("CM", (1, 1, 5, 5), score=0.4)] if extra else []))
        return Case(frame, truth, a_prediction(frame, findings=found))

    comparisons = compare([case(n, False) for n in range(20)], [case(n, True) for n in range(20)], Margins())
    assert {one.what: one.difference for one in comparisons} == {"all": -0.5, "CM": -1.0, "NT": 0.0}
    assert decide(comparisons)[0] is Decision.KEPT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param([1, 2], [1], id="a frame is missing"),
        pytest.param([1], [1, 2], id="a frame more"),
        pytest.param([1, 2], [1, 3], id="another frame"),
        pytest.param([1, 2], [1, 1], id="one twice in the new"),
        pytest.param([1, 1], [1, 2], id="one twice in the old"),
    ],
)
def test_versions_that_were_not_asked_about_the_same_frames_are_not_compared(
    old: list[int], new: list[int]
) -> None:
    with pytest.raises(InputError, match="the same frames"):
        compare([a_case(n, "right") for n in old], [a_case(n, "right") for n in new], Margins())


def test_with_one_frame_a_subject_the_interval_of_dice_is_that_of_the_paired_t_test() -> None:
    random = np.random.default_rng(1)
    old, new = random.uniform(0.7, 1.0, (2, 25))
    interval = ttest_rel(new, old).confidence_interval()
    assert only(pairs("dice", "Brain", old, new)).ci95 == pytest.approx((interval.low, interval.high))


def test_with_several_frames_a_subject_it_is_that_of_cluster_robust_regression() -> None:
    random = np.random.default_rng(2)
    subject = np.repeat(random.normal(0, 0.03, 15), 4)
    old = random.uniform(0.7, 0.9, 60)
    new = old + subject + random.normal(0, 0.01, 60)
    found = only(pairs("dice", "Brain", old, new, per_subject=4))
    groups = np.repeat(np.arange(15), 4)
    fitted = sm.OLS(new - old, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert found.ci95 == pytest.approx(tuple(fitted.conf_int()[0]))
    assert (found.frames, found.subjects) == (60, 15)
    alone = only(pairs("dice", "Brain", old, new))
    assert alone.ci95[1] - alone.ci95[0] < found.ci95[1] - found.ci95[0]


def test_shares_get_the_interval_of_bonett_and_price() -> None:
    """37 right by both, 5 lost, 2 won, 6 wrong by both; the t in place of z, and G/(G-1), are all that differs."""
    old = [1.0] * 37 + [1.0] * 5 + [0.0] * 2 + [0.0] * 6
    new = [1.0] * 37 + [0.0] * 5 + [1.0] * 2 + [0.0] * 6
    lost, won = 6 / 52, 3 / 52
    error = np.sqrt((lost + won - (lost - won) ** 2) / 52)
    low, high = only(pairs("plane", "Trans-thalamic", old, new)).ci95
    assert (low + high) / 2 == pytest.approx(won - lost)
    assert (high - low) / 2 == pytest.approx(2.0096 * error, rel=0.01)


def test_no_loss_seen_in_few_frames_is_no_proof_for_a_share() -> None:
    assert only(pairs("plane", "Trans-thalamic", [1.0] * 27, [1.0] * 27), plane=0.05).ci95[0] < -0.05
    assert decision_on(pairs("plane", "Trans-thalamic", [1.0] * 27, [1.0] * 27)) is Decision.KEPT
    assert decision_on(pairs("plane", "Trans-thalamic", [1.0] * 200, [1.0] * 200)) is Decision.PROMOTED


def test_whether_a_comparison_is_judged_depends_on_the_old_version_alone() -> None:
    random = np.random.default_rng(3)
    old = 0.96 + random.normal(0, 0.01, 60)
    steady, erratic = old - 0.011, np.where(np.arange(60) % 12 == 0, 0.0, old)
    for new in (steady, erratic):
        found = only(pairs("dice", "Brain", old, new))
        assert found.is_judged
        assert not found.is_acceptable


def test_a_structure_that_is_lost_keeps_the_old_version_though_the_whole_gains() -> None:
    frames = pairs("dice", "Brain", [0.95] * 300, [0.97] * 300)
    csp = ("dice", "CSP")
    frames += [PairedFrame(f"c{place}", {csp: 0.8}, {csp: 0.3 + place / 100}) for place in range(LEAST_SUBJECTS)]
    comparisons = {one.what: one for one in compare_scores(frames, Margins())}
    assert comparisons["all"].difference > 0
    decision, reasons = decide(list(comparisons.values()))
    assert decision is Decision.KEPT
    assert reasons[-1] == "kept: it may be worse in dice of CSP"


def test_a_structure_on_too_few_subjects_has_no_verdict_but_counts_in_the_whole() -> None:
    frames = pairs("dice", "Brain", [0.9] * 20, [0.9] * 20)
    frames += [PairedFrame(f"c{place}", {("dice", "CSP"): 0.8}, {("dice", "CSP"): 0.0}) for place in range(4)]
    whole, brain, csp = compare_scores(frames, Margins())
    assert (whole.what, brain.what, csp.what) == ("all", "Brain", "CSP")
    assert csp.is_acceptable
    assert not csp.is_judged
    assert whole.difference == pytest.approx(-0.8 * 4 / 24)
    decision, reasons = decide((whole, brain, csp))
    assert decision is Decision.KEPT
    assert "too few to judge" in reasons[2]


@pytest.mark.parametrize("frames", [0, 1, LEAST_SUBJECTS - 1])
def test_too_small_a_frozen_set_promotes_nothing(frames: int) -> None:
    decision, reasons = decide(compare_scores(pairs("dice", "Brain", [0.5] * frames, [1.0] * frames), Margins()))
    assert decision is Decision.KEPT
    assert f"{frames} labelled subjects, at least {LEAST_SUBJECTS}" in reasons[-1]


def test_many_frames_of_one_subject_are_one_subject() -> None:
    assert decision_on(pairs("dice", "Brain", [0.5] * 50, [1.0] * 50, per_subject=50)) is Decision.KEPT


def test_what_nothing_proves_is_kept_for_want_of_evidence() -> None:
    old = [1.0, 0.0] * 8
    decision, reasons = decide(compare_scores(pairs("plane", "Trans-thalamic", old, old[::-1]), Margins()))
    assert decision is Decision.KEPT
    assert "nothing shows that it is no worse" in reasons[-1]


def frozen_set(random: Random, *, worse: float = 0.0, share: float = 0.0, subjects: int = 60) -> list[PairedFrame]:
    """A simulated frozen set, one to three frames a subject: Dice, three structures in boxes, three planes.

    Two versions that err alike half of the time; the new one has `worse` less Dice and is wrong where the old one
    is right in `share` more of all else.
    """
    frames = []
    for subject, count in enumerate(random.integers(1, 4, subjects)):
        hardness = random.normal(0, 0.01)
        for _ in range(count):
            spread, luck = np.abs(random.normal(0, 0.02, 2)), random.random((2, 4))
            luck[1] = np.where(random.random(4) < 0.5, luck[0], luck[1])
            plane = ("plane", f"plane {random.integers(3)}")
            old, new = (
                {
                    ("dice", "Brain"): float(np.clip(0.96 + hardness - spread[one] - less, 0, 1)),
                    **{("detection", name): float(luck[one, n] < 0.9 - lost) for n, name in enumerate(STRUCTURES)},
                    plane: float(luck[one, 3] < 0.85 - lost),
                }
                for one, less, lost in ((0, 0.0, 0.0), (1, worse, share))
            )
            frames.append(PairedFrame(f"s{subject}", old, new))
    return frames


def decided(trials: int, seed: int, **what: float) -> tuple[float, float]:
    """The share of trials in which the new version was refused, and the declared share of equal ones."""
    random = np.random.default_rng(seed)
    compared = [compare_scores(frozen_set(random, **what), Margins()) for _ in range(trials)]  # type: ignore[arg-type]
    kept = sum(decide(comparisons)[0] is Decision.KEPT for comparisons in compared)
    return kept / trials, float(np.mean([share_of_equals_refused(comparisons) for comparisons in compared]))


@pytest.mark.parametrize(("subjects", "most"), [(60, 0.3), (200, 0.15)])
def test_an_equal_version_with_other_errors_is_refused_in_at_most_the_declared_share(
    subjects: int, most: float
) -> None:
    """Not more than a declared share would give with a chance of 99%."""
    refused, declared = decided(40, seed=4, subjects=subjects)
    assert refused <= binom.ppf(0.99, 40, declared) / 40
    assert declared <= most


@pytest.mark.parametrize(
    ("worse", "share"),
    [pytest.param(0.03, 0.0, id="masks"), pytest.param(0.0, 0.25, id="boxes and planes"), (0.1, 0.3)],
)
def test_a_worse_version_is_refused_in_twenty_of_twenty_trials(worse: float, share: float) -> None:
    assert decided(20, seed=5, worse=worse, share=share)[0] == 1.0


def test_of_versions_that_are_worse_by_the_margin_hardly_one_passes() -> None:
    """2.5% do, of which 80 trials have at most 6 with a chance of 99%."""
    assert decided(80, seed=6, worse=0.01)[0] >= 1 - 6 / 80


def test_how_often_an_equal_version_is_refused_is_known_before_the_new_one_speaks() -> None:
    old = [1.0] * 25 + [0.0] * 5
    same, worse = (only(pairs("plane", "Trans-thalamic", old, new)) for new in (old, [0.0] * 30))
    assert same.ci95 != worse.ci95
    assert share_of_equals_refused([same]) == share_of_equals_refused([worse])
    many = pairs("plane", "Trans-thalamic", old * 100, old * 100)
    assert share_of_equals_refused([only(many)]) < 0.2 < share_of_equals_refused([same])


def test_a_measure_that_lost_more_than_the_margin_stays_out_though_it_may_be_chance() -> None:
    old = [1.0] * 24 + [0.0] * 6
    one_lost, three_lost = [0.0, *old[1:]], [0.0] * 3 + old[3:]
    frames = pairs("dice", "Brain", [0.95] * 30, [0.96] * 30)
    assert decision_on(frames + pairs("plane", "Trans-thalamic", old, one_lost)) is Decision.PROMOTED
    assert decision_on(frames + pairs("plane", "Trans-thalamic", old, three_lost)) is Decision.KEPT

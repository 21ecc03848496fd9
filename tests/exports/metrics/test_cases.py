"""What is compared: contradictions are refused by name, and the order of the cases changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from annotator.errors import InputError
from annotator.schema import Finding, Frame
from exports.metrics.cases import Case, checked
from exports.metrics.per_frame import frame_scores
from exports.metrics.sanity import look_over
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction
from tests.exports.metrics.runs import a_run


def a_case(seed: int = 1, truths: tuple[Finding, ...] = (), said: tuple[Finding, ...] | None = ()) -> Case:
    frame = a_frame(seed)
    prediction = None if said is None else a_prediction(frame, findings=said)
    return Case(frame, a_correction(frame, is_truth=True, findings=truths), prediction)


def doubled() -> list[Case]:
    return [a_case(1), a_case(1)]


def of_another_frame() -> list[Case]:
    return [Case(a_frame(1), a_correction(a_frame(2)), None)]


def predicted_on_another_frame() -> list[Case]:
    return [Case(a_frame(1), a_correction(a_frame(1)), a_prediction(a_frame(2)))]


def of_another_size() -> list[Case]:
    return [a_case(1, (a_masked_finding(a_mask((64, 48))),))]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        (doubled, "comes twice with the reference of anna"),
        (of_another_frame, "compared with what was said of"),
        (predicted_on_another_frame, "compared with what was said of"),
        (of_another_size, "is 32 x 24, but the reference's mask of Brain is 64 x 48"),
    ],
)
def test_cases_that_contradict_themselves_are_refused(cases: Callable[[], list[Case]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(cases())


def test_two_readers_of_one_frame_are_two_cases() -> None:
    frame = a_frame(1)
    cases = [Case(frame, a_correction(frame, reader=reader), None) for reader in ("bo", "anna")]
    assert [case.truth.reader for case in checked(cases)] == ["anna", "bo"]


def test_a_case_is_resampled_with_its_subject_else_its_group_else_alone() -> None:
    frame = a_frame(1, subject="s1", group="g1")
    assert replace(a_case(1), frame=frame).unit == "s1"
    assert replace(a_case(1), frame=a_frame(1, group="g1")).unit == "g1"
    assert a_case(1).unit == a_frame(1).frame_id


# The scores of one frame


def test_a_frame_is_scored_by_what_its_reference_holds() -> None:
    frame = a_frame(1)
    truth = a_correction(
        frame,
        findings=(a_masked_finding(a_mask()), a_finding("NT"), a_finding("NT", (0, 0, 3, 3))),
        plane="Abdomen",
    )
    said = a_prediction(
        frame,
        findings=(a_masked_finding(a_mask(box=(4, 5, 20, 10))), a_finding("NT", score=0.4), a_finding("CSP")),
        plane="Femur",
    )
    assert frame_scores(Case(frame, truth, said)) == {
        ("dice", "Brain"): pytest.approx(2 / 3),
        ("detection", "Brain"): 1.0,
        ("detection", "NT"): pytest.approx(2 / 3),
        ("detection", "CSP"): 0.0,
        ("plane", "Abdomen"): 0.0,
    }
    failed = frame_scores(Case(frame, truth, None))
    assert set(failed.values()) == {0.0}
    assert ("detection", "CSP") not in failed


def test_what_the_reference_says_nothing_of_is_not_scored() -> None:
    assert frame_scores(a_case(1, (), (a_finding("NT", score=0.9), a_masked_finding(a_mask())))) == {}
    assert ("dice", "Brain") not in frame_scores(a_case(1, (a_finding("NT"),), (a_masked_finding(a_mask()),)))


def test_a_better_score_chooses_its_truth_first() -> None:
    truths = (a_finding("NT", (0, 0, 10, 10)), a_finding("NT", (0, 0, 10, 14)))
    said = (a_finding("NT", (0, 0, 10, 14), score=0.2), a_finding("NT", (0, 0, 10, 13), score=0.9))
    # The surer one takes the larger truth; the other one, though it fits that one exactly, gets what is left.
    assert frame_scores(a_case(1, truths, said))["detection", "NT"] == 1.0


# What must be known before any score


def alarms(cases: list[Case]) -> str:
    return "\n".join(look_over(cases).alarms())


def test_a_good_run_raises_no_alarm() -> None:
    sanity = look_over(a_run(30))
    assert sanity.alarms() == []
    assert (sanity.cases, sanity.failed, sanity.constant_score) == (30, 0, None)


def test_failed_frames_are_told_first() -> None:
    cases = [replace(case, prediction=None) if place < 3 else case for place, case in enumerate(a_run(30))]
    assert alarms(cases).startswith("FAILED: 3 of 30 frames (10.0 %) have no prediction; they score 0")


def test_a_model_that_finds_nothing_is_called_that() -> None:
    cases = [a_case(seed, (a_finding("NT"),), ()) for seed in range(4)]
    assert alarms(cases).startswith("NO FINDINGS: the model found nothing on any of 4 frames")


@pytest.mark.parametrize(
    ("score", "words"), [(1.0, "CONSTANT CONFIDENCE: all 2 detections have the score 1;"), (None, "NO CONFIDENCE")]
)
def test_a_constant_confidence_is_called_that(score: float | None, words: str) -> None:
    cases = [a_case(seed, (a_finding("NT"),), (a_finding("NT", score=score),)) for seed in range(2)]
    assert words in alarms(cases)
    assert "depends on the order of the frames" in alarms(cases)
    varied = [a_case(seed, (a_finding("NT"),), (a_finding("NT", score=seed / 2),)) for seed in range(2)]
    assert alarms(varied) == ""


def test_the_same_answer_for_all_frames_is_a_collapse_unless_the_reference_is_alike() -> None:
    random = np.random.default_rng(0)

    def cases(varied: bool) -> list[Case]:
        places = random.uniform(0, 12, 20) if varied else np.zeros(20)
        return [
            a_case(seed, (a_finding("NT", (x, 0, x + 9, 9)),), (a_finding("NT", (0, 0, 9, 9), score=seed / 20),))
            for seed, x in enumerate(places)
        ]

    assert alarms(cases(varied=True)).startswith("COLLAPSED: 100.0 % of 20 frames got the same findings and view")
    assert alarms(cases(varied=False)) == ""


def test_one_view_for_all_frames_is_told() -> None:
    cases = [
        replace(case, prediction=case.prediction and case.prediction.model_copy(update={"plane": "Abdomen"}))
        for case in a_run(24)
    ]
    assert "ONE VIEW" in alarms(cases)


def test_frames_that_were_trained_on_are_counted() -> None:
    frames: list[Frame] = [a_frame(seed, split=split) for seed, split in enumerate(("train", "test", "Training"))]
    cases = [Case(frame, a_correction(frame), a_prediction(frame)) for frame in frames]
    assert "TRAIN FRAMES: 2 of 3 frames are of the train split" in alarms(cases)

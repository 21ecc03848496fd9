"""Whether a model wrote the JSON that it was asked for: judged on the text itself and on the parser's notes."""

import json

import pytest

from annotator.schema import ParseIssue, Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Answer, Finish, Phase
from backends.parsing import parse_findings, parse_view
from backends.parsing.issues import LOSSES, Reason
from exports.metrics.cases import Case
from exports.metrics.compliance import UNREADABLE, Outcome, compliance_figures, is_as_asked, outcomes_of
from tests.builders import a_correction, a_frame, a_prediction

BOX = '{"bbox_2d": [1, 2, 3, 4], "label": "Brain"}'
OUTLINE = '{"bbox_2d": [1, 2, 3, 4], "label": "Brain", "mask": [[1, 2], [3, 2], [3, 4]]}'
POINTS = '{"bbox_2d": [1, 2, 3, 4], "label": "CRL_KP", "keypoints": [[1, 2, 2], [3, 4, 2]]}'
FIELDS = dict.fromkeys(INTERPRETATION_FIELDS, "seen")


@pytest.mark.parametrize(
    ("phase", "text", "as_asked"),
    [
        ("interpret", json.dumps(FIELDS), True),
        ("interpret", "\n  " + json.dumps(FIELDS, indent=2) + "\n", True),
        ("interpret", json.dumps(dict(list(FIELDS.items())[:7])), False),  # a field lacks
        ("interpret", json.dumps({**FIELDS, "image_quality": None}), False),
        ("interpret", json.dumps([FIELDS]), False),
        ("interpret", f"```json\n{json.dumps(FIELDS)}\n```", False),
        ("classify", '{"label": "Abdomen"}', True),
        ("classify", '{"label": null}', False),
        ("classify", "Abdomen", False),
        ("classify", '"Abdomen"', False),
        ("detect", "[]", True),
        ("detect", f"[{BOX}]", True),
        ("detect", f"[{BOX.replace('bbox_2d', 'box_2d')}]", True),  # older checkpoints
        ("detect", BOX, False),  # one object where a list was asked
        ("detect", f"[{BOX},]", False),
        ("detect", f"<think></think>[{BOX}]", False),
        ("detect", f"[{BOX}]\nassistant\n[{BOX}]", False),
        ("detect", '[{"bbox_2d": [1, 2, 3], "label": "Brain"}]', False),
        ("detect", '[{"bbox_2d": [1, 2, 3, true], "label": "Brain"}]', False),
        ("detect", '[{"bbox_2d": [1, 2, 3, NaN], "label": "Brain"}]', False),
        ("detect", f"[{BOX}", False),
        ("detect", "[" * 100_000, False),
        ("segment", f"[{OUTLINE}]", True),
        ("segment", f"[{BOX}]", False),
        ("segment", OUTLINE.replace(", [3, 4]]", "]"), False),
        ("keypoints", f"[{POINTS}]", True),
        ("keypoints", POINTS.replace("2, 2]", "2]"), False),
        ("detect", "", False),
    ],
)
def test_only_strict_json_of_the_right_shape_is_as_asked(phase: str, text: str, as_asked: bool) -> None:
    assert is_as_asked(phase, text) is as_asked


def parsed(detect: str, classify: str) -> Prediction:
    """As the parser leaves it."""
    issues = list(parse_findings(Answer(detect, Finish.STOP, 1.0), Phase.DETECT, ("Brain",), (64, 48))[1])
    issues += parse_view(Answer(classify, Finish.STOP, 1.0), ("Abdomen",))[2]
    return a_prediction(a_frame(), raw_texts={"detect": detect, "classify": classify}, issues=tuple(issues))


@pytest.mark.parametrize(
    ("detect", "outcome"),
    [
        (f"[{BOX}]", Outcome.AS_IT_STOOD),
        (f"[{BOX},]", Outcome.REPAIRED),
        (f"```json\n[{BOX}]\n```", Outcome.REPAIRED),
        (BOX, Outcome.REPAIRED),
        (f'[{BOX}, {{"bbox_2d": [1, 2', Outcome.LOST),
        ("I cannot see anything.", Outcome.LOST),
        ("", Outcome.LOST),
    ],
)
def test_repaired_answers_and_lost_ones_are_told_apart(detect: str, outcome: Outcome) -> None:
    outcomes = outcomes_of(parsed(detect, '{"label": "Abdomen"}'))
    assert outcomes == {"detect": outcome, "classify": Outcome.AS_IT_STOOD}


def test_the_words_for_what_cannot_be_read_are_the_parsers_own() -> None:
    assert {Reason(name) for name in UNREADABLE} <= LOSSES


def test_shares_are_given_by_frame_by_answer_and_by_phase() -> None:
    frame = a_frame(1)
    truth = a_correction(frame, is_truth=True)
    good = a_prediction(frame, raw_texts={"detect": f"[{BOX}]", "detect 2": f"[{BOX},]"})
    issue = ParseIssue(phase="detect", reason="stray_comma")
    other = a_frame(2)
    cases = [
        Case(frame, truth, good.model_copy(update={"issues": (issue,)})),
        Case(other, a_correction(other), a_prediction(other, raw_texts={"classify": '{"label": "Abdomen"}'})),
        Case(a_frame(3), a_correction(a_frame(3)), None),
    ]
    figures = compliance_figures(cases)
    assert figures["frames"]["value"] == pytest.approx(1 / 3)  # one with a repair, one that failed
    assert figures["answers"]["as_it_stood"]["value"] == pytest.approx(2 / 3)
    assert figures["answers"]["as_it_stood"]["n"] == 3
    assert figures["per_phase"]["detect"]["repaired"]["value"] == 0.5
    assert figures["noted_by_the_parser"] == {"stray_comma": 1}


def test_a_model_that_writes_no_text_has_no_compliance() -> None:
    frame = a_frame()
    assert compliance_figures([Case(frame, a_correction(frame), a_prediction(frame))]) == {}

"""Records: what is wrong fails where it is born, and what is right survives JSON to the last digit."""

import math
import re
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from annotator import taxonomy
from annotator.schema import (
    Change,
    Correction,
    Ellipse,
    Finding,
    Frame,
    Interpretation,
    Keypoint,
    MaskRle,
    ModelVersion,
    Origin,
    ParseIssue,
    Prediction,
    Prompt,
    PromptPoint,
    Record,
    RotatedBox,
    new_id,
    utc_now,
)
from tests.builders import a_correction, a_finding, a_frame, a_prediction

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((20.0, 5.0, 4.0, 15.0), "x_min, y_min, x_max, y_max"),  # right of its own right side
        ((4.0, 15.0, 20.0, 5.0), "x_min, y_min, x_max, y_max"),  # FADA's (y1, x1, y2, x2) often look like this
        ((NAN, 5.0, 20.0, 15.0), "finite"),
        ((4.0, 5.0, INFINITE, 15.0), "finite"),
        ((-INFINITE, 5.0, 20.0, 15.0), "finite"),
        ((4.0, 5.0, 20.0), "required"),
        ((4.0, 5.0, 20.0, 15.0, 1.0), "at most 4"),
        (("left", 5.0, 20.0, 15.0), "number"),
        (None, "tuple"),
    ],
)
def test_a_bad_box_is_refused(box: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason) if reason != "required" else "(?i)required"):
        Finding(structure="CSP", box_xyxy=box)


def test_a_prompts_box_is_held_to_the_same_rules() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Prompt(structure="CSP", box_xyxy=(0.0, 0.0, NAN, 1.0))
    with pytest.raises(ValidationError, match="x_min"):
        Prompt(structure="CSP", box_xyxy=(5.0, 0.0, 1.0, 1.0))


def test_a_box_may_be_flat_and_may_leave_the_frame() -> None:
    assert a_finding(box_xyxy=(-3.0, 4.0, -3.0, 4.0)).box_xyxy == (-3.0, 4.0, -3.0, 4.0)


@pytest.mark.parametrize("name", ["", "brain", "Brain ", "unknown", "Trans-thalamic"])
def test_an_unknown_structure_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match="unknown structure"):
        a_finding(name)


@pytest.mark.parametrize("plane", ["", "transthalamic", "CSP"])
def test_an_unknown_plane_is_refused_by_name(plane: str) -> None:
    with pytest.raises(ValidationError, match="unknown plane"):
        a_prediction(a_frame(), plane=plane)
    with pytest.raises(ValidationError, match="unknown plane"):
        a_correction(a_frame(), plane=plane)


@pytest.mark.parametrize("score", [-0.01, 1.01, 99, NAN, INFINITE, "high"])
def test_a_score_outside_0_to_1_is_refused(score: Any) -> None:
    with pytest.raises(ValidationError):
        a_finding(score=score)
    with pytest.raises(ValidationError):
        a_prediction(a_frame(), plane="Other", plane_score=score)


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (Ellipse, {"cx": 1, "cy": 1, "rx": 0, "ry": 1}),
        (Ellipse, {"cx": 1, "cy": 1, "rx": -2, "ry": 1}),
        (Ellipse, {"cx": NAN, "cy": 1, "rx": 1, "ry": 1}),
        (Ellipse, {"cx": 1, "cy": 1, "rx": 1, "ry": 1, "angle_deg": INFINITE}),
        (RotatedBox, {"cx": 1, "cy": 1, "width": 0, "height": 1}),
        (RotatedBox, {"cx": 1, "cy": 1, "width": 1, "height": INFINITE}),
        (Keypoint, {"name": "crown", "x": NAN, "y": 1}),
        (Keypoint, {"name": "crown", "x": 1, "y": 1, "visibility": 3}),
        (Keypoint, {"name": "crown", "x": 1, "y": 1, "visibility": -1}),
        (MaskRle, {"size_hw": (0, 4), "counts": "0"}),
        (MaskRle, {"size_hw": (4, -1), "counts": "0"}),
        (PromptPoint, {"x": 1, "y": NAN}),
        (Frame, {"frame_id": "xyz", "width": 1, "height": 1, "source_file": "a.png"}),
        (Frame, {"frame_id": "0" * 32, "width": 0, "height": 1, "source_file": "a.png"}),
        (
            Frame,
            {"frame_id": "0" * 32, "width": 1, "height": 1, "source_file": "a", "pixel_spacing_mm": (0.0, 0.1)},
        ),
        (
            Frame,
            {"frame_id": "0" * 32, "width": 1, "height": 1, "source_file": "a", "pixel_spacing_mm": (NAN, 0.1)},
        ),
        (Prediction, {"frame_id": "f", "model_version": "m", "seconds": {"detect": NAN}}),
        (Correction, {"frame_id": "f", "reader": "anna", "lead_time_s": INFINITE}),
    ],
)
def test_values_that_cannot_be_are_refused(record: type[Record], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(**values)


def test_nothing_unknown_is_let_in() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Finding(structure="CSP", box_xyxy=(0, 0, 1, 1), confidence=0.5)  # type: ignore[call-arg]


def test_records_cannot_be_changed() -> None:
    for record, field in ((a_finding(), "score"), (a_frame(), "width"), (a_correction(a_frame()), "reader")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(record, field, 1)


def test_changes_may_name_only_findings_that_are_there_or_were_deleted() -> None:
    finding = a_finding()
    changes = {finding.finding_id: Change.KEPT, "fnd_gone": Change.DELETED}
    correction = a_correction(a_frame(), findings=(finding,), deleted_finding_ids=("fnd_gone",), changes=changes)
    assert correction.changes == changes
    with pytest.raises(ValidationError, match="fnd_stranger"):
        a_correction(a_frame(), findings=(finding,), changes={"fnd_stranger": Change.CHANGED})


def test_a_frame_is_as_sure_as_its_least_sure_part() -> None:
    findings = (a_finding(score=0.9), a_finding(score=0.4), a_finding(score=None))
    assert a_prediction(a_frame(), findings=findings, plane="Other", plane_score=0.7).score == 0.4
    assert a_prediction(a_frame(), findings=findings, plane="Other", plane_score=0.1).score == 0.1


def test_no_score_is_none_and_never_one() -> None:
    assert a_finding().score is None
    assert a_prediction(a_frame(), findings=(a_finding(),)).score is None
    assert a_prediction(a_frame(), findings=()).score is None


def test_ids_differ_and_times_are_utc_in_whole_milliseconds() -> None:
    assert len({new_id("fnd") for _ in range(1000)}) == 1000
    assert utc_now().tzinfo is UTC
    assert utc_now().microsecond % 1000 == 0


# JSON and back

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64).map(lambda value: value + 0.0)
lengths = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
scores = st.none() | st.floats(0, 1)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
boxes = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda four: (min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
)
structures = st.sampled_from([item.name for item in taxonomy.STRUCTURES])
planes = st.none() | st.sampled_from([view.name for view in taxonomy.VIEWS])
keypoints = st.builds(Keypoint, name=texts, x=numbers, y=numbers, visibility=st.integers(0, 2))
findings = st.builds(
    Finding,
    structure=structures,
    box_xyxy=boxes,
    mask_rle=st.none() | st.builds(MaskRle, size_hw=st.tuples(st.integers(1, 9), st.integers(1, 9)), counts=texts),
    ellipse=st.none() | st.builds(Ellipse, cx=numbers, cy=numbers, rx=lengths, ry=lengths, angle_deg=numbers),
    rotated_box=st.none()
    | st.builds(RotatedBox, cx=numbers, cy=numbers, width=lengths, height=lengths, angle_deg=numbers),
    keypoints=st.lists(keypoints, max_size=2).map(tuple),
    score=scores,
    origin=st.sampled_from(Origin),
    parent_finding_id=st.none() | texts,
)
several_findings = st.lists(findings, max_size=3).map(tuple)
interpretations = st.none() | st.builds(Interpretation, imaging_plane=texts, image_quality=texts)
predictions = st.builds(
    Prediction,
    frame_id=texts,
    model_version=texts,
    findings=several_findings,
    plane=planes,
    plane_score=scores,
    interpretation=interpretations,
    mapping_tier=st.none() | texts,
    issues=st.lists(st.builds(ParseIssue, phase=texts, reason=texts, excerpt=texts), max_size=2).map(tuple),
    raw_texts=st.dictionaries(texts, texts, max_size=2),
    seconds=st.dictionaries(texts, numbers, max_size=2),
)
corrections = st.builds(
    Correction,
    frame_id=texts,
    reader=texts,
    is_truth=st.booleans(),
    prediction_id=st.none() | texts,
    findings=several_findings,
    plane=planes,
    interpretation=interpretations,
    deleted_finding_ids=st.lists(texts, max_size=2).map(tuple),
    reasons=st.lists(texts, max_size=2).map(tuple),
    lead_time_s=st.none() | numbers,
    skipped=st.booleans(),
    external_id=st.none() | texts,
    external_updated_at=st.none() | texts,
)
frames = st.builds(
    Frame,
    frame_id=st.from_regex(r"\A[0-9a-f]{32}\Z"),
    width=st.integers(1, 10**6),
    height=st.integers(1, 10**6),
    source_file=texts,
    subject=st.none() | texts,
    pixel_spacing_mm=st.none() | st.tuples(lengths, lengths),
    simulated=st.booleans(),
)
models = st.builds(
    ModelVersion,
    name=texts,
    backend=texts,
    base=texts,
    content_hash=texts,
    settings=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-9, 9) | texts | numbers, max_size=3),
)
prompts = st.builds(
    Prompt,
    structure=structures,
    points=st.lists(st.builds(PromptPoint, x=numbers, y=numbers, positive=st.booleans()), max_size=2).map(tuple),
    box_xyxy=st.none() | boxes,
)


@given(st.one_of(predictions, corrections, frames, models, prompts))
def test_every_record_survives_json_unchanged(record: Record) -> None:
    again = type(record).model_validate_json(record.model_dump_json())
    assert again == record
    assert again.model_dump_json() == record.model_dump_json()


def test_negative_zero_and_tiny_numbers_survive_too() -> None:
    for value in (-0.0, 5e-324, 1e308, 0.1 + 0.2, math.pi):
        finding = a_finding(box_xyxy=(value, value, value, value))
        assert Finding.model_validate_json(finding.model_dump_json()).box_xyxy == finding.box_xyxy

"""What a reader is told of an output beside its words: where the text and the outlines contradict each other."""

import pytest

from annotator.geometry import ellipse_to_mask
from annotator.schema import Ellipse, Frame, Interpretation, Prediction
from review.blinding import Redactor, shown_output
from tests.builders import a_frame, a_masked_finding, a_prediction

HEAD = Ellipse(cx=400, cy=270, rx=200, ry=150)  # at 0.15 mm a pixel: HC 165.8 mm, about 19 weeks
NOTHING_HIDDEN = Redactor([])


def a_head(age: str, spacing_mm: float | None = 0.15) -> tuple[Prediction, Frame]:
    spacing = (spacing_mm, spacing_mm) if spacing_mm else None
    frame = a_frame(size_wh=(800, 540), pixel_spacing_mm=spacing)
    head = a_masked_finding(ellipse_to_mask(HEAD, frame.size_wh), ellipse=HEAD)
    said = Interpretation(gestational_age=age)
    return a_prediction(frame, findings=(head,), plane="Trans-thalamic", interpretation=said), frame


def test_an_age_that_the_head_contradicts_is_told() -> None:
    shown = shown_output(*a_head("32 weeks"), NOTHING_HIDDEN, was_made=True)
    assert shown.contradiction is not None
    assert "32 weeks" in shown.contradiction
    assert "19+3" in shown.contradiction


@pytest.mark.parametrize(
    ("age", "spacing_mm"), [("about 19 weeks", 0.15), ("not stated", 0.15), ("32 weeks", None)]
)
def test_nothing_is_told_where_they_agree_or_one_is_missing(age: str, spacing_mm: float | None) -> None:
    assert shown_output(*a_head(age, spacing_mm), NOTHING_HIDDEN, was_made=True).contradiction is None


def test_what_tells_a_model_is_hidden_there_too() -> None:
    shown = shown_output(*a_head("32 weeks by skd-4b"), Redactor(["32 weeks"]), was_made=True)
    assert shown.contradiction is not None
    assert "32 weeks" not in shown.contradiction

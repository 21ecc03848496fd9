"""What a sonographer is shown of one frame."""

from typing import Any

import pytest

from annotator.biometry import BiometryReport, report, report_lines
from annotator.errors import InputError
from annotator.schema import Ellipse, Interpretation
from tests.builders import a_correction, a_finding, a_frame, a_prediction

SKULL = Ellipse(cx=250, cy=170, rx=152, ry=121, angle_deg=4)


def of_a_head(spacing: tuple[float, float] | None = (0.2, 0.2), ga_weeks: float | None = None, **said: Any) -> Any:
    frame = a_frame(pixel_spacing_mm=spacing)
    return report(
        frame, a_prediction(frame, findings=(a_finding("Brain", ellipse=SKULL),), **said), ga_weeks=ga_weeks
    )


def test_a_head_is_shown_with_its_sizes_its_age_and_what_is_missing() -> None:
    assert report_lines(of_a_head()) == [
        "HC 172.1 mm",
        "OFD 60.8 mm",
        "BPD (outer-outer) 48.4 mm",
        "cephalic index 79.6 %",
        "gestational age 20+0, 18+3 to 21+3 (INTERGROWTH-21st 2016, HC; compare with the paper)",
        "no BPD (outer-inner): needs the inner border of the skull or its thickness; only the outer one is there",
    ]


def test_a_contradiction_comes_first() -> None:
    lines = report_lines(of_a_head(interpretation=Interpretation(gestational_age="28 weeks")))
    assert lines[0].startswith("CONTRADICTION: the text says '28 weeks', the measured age is 20+0 weeks")


def test_a_text_that_agrees_is_not_mentioned() -> None:
    words = Interpretation(gestational_age="about 20 weeks")
    assert report_lines(of_a_head(interpretation=words)) == report_lines(of_a_head())


def test_centiles_are_given_only_for_an_age_known_otherwise() -> None:
    assert not of_a_head().centiles
    lines = report_lines(of_a_head(ga_weeks=20))
    assert "HC centile 48 at 20+0 (INTERGROWTH-21st)" in lines
    assert "BPD (outer-outer) centile 49 at 20+0 (INTERGROWTH-21st)" in lines
    assert any(
        line.startswith("no HC centile: INTERGROWTH-21st HC covers 14-40")
        for line in report_lines(of_a_head(ga_weeks=12))
    )
    with pytest.raises(InputError):
        of_a_head(ga_weeks=-3)


def test_without_spacing_the_lines_say_what_to_do() -> None:
    lines = report_lines(of_a_head(spacing=None))
    assert len(lines) == 5
    assert all("mark two ticks of the scale bar" in line for line in lines)


def test_a_correction_is_measured_like_a_prediction_and_survives_json() -> None:
    frame = a_frame(pixel_spacing_mm=(0.2, 0.2))
    findings = (a_finding("Brain", ellipse=SKULL), a_finding("abdomen", ellipse=SKULL))
    found = report(frame, a_correction(frame, findings=findings))
    assert "AC 172.1 mm" in report_lines(found)
    assert BiometryReport.model_validate_json(found.model_dump_json()) == found


def test_a_frame_without_measurable_structures_has_no_lines() -> None:
    frame = a_frame(pixel_spacing_mm=(0.2, 0.2))
    assert report_lines(report(frame, a_correction(frame))) == []

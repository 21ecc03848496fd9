"""Pixel spacing from two ticks of the scale bar."""

import math
from typing import Any

import pytest

from annotator.biometry import spacing_from_scale_bar
from annotator.errors import InputError
from annotator.schema import Finding, Keypoint
from tests.builders import a_finding


def ticks(first: tuple[float, float] = (40, 20), second: tuple[float, float] = (40, 120), **more: Any) -> Finding:
    marked = (
        Keypoint(name="first_tick", x=first[0], y=first[1]),
        Keypoint(name="second_tick", x=second[0], y=second[1], **more),
    )
    return a_finding("ScaleBarKpoints", keypoints=marked)


def test_ticks_ten_mm_and_a_hundred_pixels_apart_make_a_tenth_of_a_mm() -> None:
    found = spacing_from_scale_bar(ticks(), 10.0)
    assert found.pixel_spacing_mm == pytest.approx((0.1, 0.1))
    assert found.relative_error == pytest.approx(math.sqrt(2) * 0.5 / 100)
    assert not found.refusal


def test_a_slanted_bar_and_oblong_pixels_are_worked_out_exactly() -> None:
    found = spacing_from_scale_bar(ticks((10, 10), (70, 110)), 50.0, row_to_column=1.3)
    assert found.pixel_spacing_mm is not None
    row_mm, column_mm = found.pixel_spacing_mm
    assert row_mm / column_mm == pytest.approx(1.3)
    assert math.hypot(60 * column_mm, 100 * row_mm) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("finding", "distance_mm", "why"),
    [
        (ticks(visibility=0), 10.0, "two ticks of the scale bar must be marked"),
        (a_finding("ScaleBarKpoints"), 10.0, "two ticks of the scale bar must be marked"),
        (ticks(second=(40, 33)), 10.0, "13.0 px apart, at least 20"),
        (ticks(), 500.0, "is the tick distance in mm?"),
        (ticks(), 0.5, "is the tick distance in mm?"),
    ],
)
def test_ticks_that_cannot_be_used_give_a_reason(finding: Finding, distance_mm: float, why: str) -> None:
    found = spacing_from_scale_bar(finding, distance_mm)
    assert found.pixel_spacing_mm is None
    assert why in found.refusal


@pytest.mark.parametrize("distance_mm", [0.0, -10.0, math.nan, math.inf])
def test_a_distance_that_is_no_length_is_misuse(distance_mm: float) -> None:
    with pytest.raises(InputError, match="tick_distance_mm must be a positive number"):
        spacing_from_scale_bar(ticks(), distance_mm)

"""Pixel spacing from two marked ticks of the scale bar, for frames whose header says nothing."""

import math

from pydantic import Field

from annotator.biometry.limits import positive
from annotator.schema import Finding, Length, Record

_LEAST_PX = 20.0
_TICK_ERROR_PX = 0.5
_SPACING_MM = (0.01, 2.0)


class Calibration(Record):
    """Pixel spacing (row, column) in mm with its relative error, or None and a `refusal`."""

    pixel_spacing_mm: tuple[Length, Length] | None = None
    relative_error: float | None = Field(default=None, description="one SD, ticks marked to half a pixel")
    refusal: str = ""


def spacing_from_scale_bar(ticks: Finding, tick_distance_mm: float, *, row_to_column: float = 1.0) -> Calibration:
    """Work the spacing out from a ScaleBarKpoints finding whose ticks are `tick_distance_mm` apart.

    `row_to_column` is row spacing / column spacing, 1 for square pixels. InputError where a number is not positive.
    """
    positive("tick_distance_mm", tick_distance_mm)
    positive("row_to_column", row_to_column)
    points = {point.name: point for point in ticks.keypoints if point.visibility > 0}
    if "first_tick" not in points or "second_tick" not in points:
        return Calibration(refusal="two ticks of the scale bar must be marked: first_tick and second_tick")
    first, second = points["first_tick"], points["second_tick"]
    columns = math.hypot(second.x - first.x, (second.y - first.y) * row_to_column)
    if columns < _LEAST_PX:
        return Calibration(refusal=f"the ticks are {columns:.1f} px apart, at least {_LEAST_PX:g} are needed")
    column_mm = tick_distance_mm / columns
    if not _SPACING_MM[0] <= column_mm <= _SPACING_MM[1]:
        return Calibration(refusal=f"a pixel of {column_mm:.3g} mm is implausible: is the tick distance in mm?")
    return Calibration(
        pixel_spacing_mm=(column_mm * row_to_column, column_mm),
        relative_error=math.sqrt(2) * _TICK_ERROR_PX / columns,
    )

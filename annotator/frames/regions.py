"""Pixel spacing from DICOM's Ultrasound Regions (0018,6011), where they can be believed.

Real files carry regions of another scaling (a 320x240 copy with bounds to 595, 414), so a calibration counts only
where everything about it fits (DICOM PS3.3 C.8.5.5).
"""

from collections.abc import Sequence
from typing import Any

TWO_D, TISSUE, CENTIMETRE = 1, 1, 3
_SPACING_MM = (0.005, 2.0)
_TOLERANCE = 0.02

Spacing = tuple[float, float]


def spacing_of_regions(regions: Sequence[Any], size_wh: tuple[int, int]) -> Spacing | None:
    """Return (row, column) mm of the tissue regions; None without one, where one is implausible or they disagree.

    A region is any object with the attributes of the region macro, such as a pydicom Dataset.
    """
    tissue = [region for region in regions if _value(region, "RegionSpatialFormat") == TWO_D]
    tissue = [region for region in tissue if _value(region, "RegionDataType") == TISSUE]
    spacings = [_spacing_of(region, size_wh) for region in tissue]
    known = [spacing for spacing in spacings if spacing is not None]
    if not known or len(known) < len(spacings):
        return None
    first = known[0]
    agree = all(_close(mine, other) for spacing in known for mine, other in zip(spacing, first, strict=True))
    return first if agree else None


def _spacing_of(region: Any, size_wh: tuple[int, int]) -> Spacing | None:
    units = (_value(region, "PhysicalUnitsXDirection"), _value(region, "PhysicalUnitsYDirection"))
    x0, y0, x1, y1 = (
        _value(region, f"RegionLocation{corner}")
        for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    )  # fmt: skip
    row, column = (abs(10 * (_value(region, name) or 0.0)) for name in ("PhysicalDeltaY", "PhysicalDeltaX"))
    if units != (CENTIMETRE, CENTIMETRE) or None in (x0, y0, x1, y1):
        return None
    inside = 0 <= x0 < x1 <= size_wh[0] and 0 <= y0 < y1 <= size_wh[1]  # type: ignore[operator]
    plausible = all(_SPACING_MM[0] <= length <= _SPACING_MM[1] for length in (row, column))
    return (row, column) if inside and plausible and _close(row, column) else None


def _value(region: Any, name: str) -> float | None:
    try:
        return float(getattr(region, name))
    except (AttributeError, TypeError, ValueError):
        return None


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * max(one, other)

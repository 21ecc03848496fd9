"""Which sizes a fetus can have at all, so that a mix-up of mm and cm is refused and named."""

import math

from annotator.biometry.records import MeasureName
from annotator.errors import InputError

# mm (CI in percent), wider than every chart's 3rd and 97th centile at the ends of its range.
SIZES_MM: dict[MeasureName, tuple[float, float]] = {
    MeasureName.HC: (50.0, 420.0),
    MeasureName.BPD_OO: (15.0, 120.0),
    MeasureName.BPD_OI: (15.0, 120.0),
    MeasureName.OFD: (18.0, 150.0),
    MeasureName.CI: (50.0, 100.0),
    MeasureName.AC: (40.0, 460.0),
    MeasureName.FL: (6.0, 95.0),
    MeasureName.CRL: (5.0, 100.0),
    MeasureName.NT: (0.3, 15.0),
}


def implausible(name: MeasureName, value_mm: float, bounds_mm: tuple[float, float] | None = None) -> str:
    """Say what is wrong with a size, or nothing where it lies within the bounds, by default those of any fetus.

    >>> implausible(MeasureName.HC, 17.5)
    'HC of 17.5 mm is outside 50-420 mm; 175 mm would fit: is this in cm?'
    """
    low, high = bounds_mm or SIZES_MM[name]
    if low <= value_mm <= high:
        return ""
    unit = "%" if name is MeasureName.CI else "mm"
    message = f"{name} of {value_mm:.4g} {unit} is outside {low:g}-{high:g} {unit}"
    widest_low, widest_high = SIZES_MM[name]
    if unit == "mm" and not widest_low <= value_mm <= widest_high:
        if widest_low <= value_mm * 10 <= widest_high:
            return f"{message}; {value_mm * 10:.4g} mm would fit: is this in cm?"
        if widest_low <= value_mm / 10 <= widest_high:
            return f"{message}; {value_mm / 10:.4g} mm would fit: is the pixel spacing ten times too large?"
    return message


def positive(what: str, value: float) -> float:
    """Return `value`; InputError where it is not a positive, finite number."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be a positive number, got {value}")
    return value

"""What a figure is: a value with its interval, its n and the method that made them."""

import math
from dataclasses import dataclass
from typing import Any

LEVEL = 0.95
DIGITS = 6


@dataclass(frozen=True)
class Figure:
    """A value and its 95% interval; None where it cannot be computed, and then `note` says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    units: int
    method: str
    note: str = ""

    def document(self) -> dict[str, Any]:
        """The figure as JSON, rounded so that equal data give equal bytes."""
        interval = None if self.low is None or self.high is None else [tidy(self.low), tidy(self.high)]
        return {
            "value": tidy(self.value),
            "ci95": interval,
            "n": self.n,
            "units": self.units,
            "method": self.method,
            **({"note": self.note} if self.note else {}),
        }


def no_figure(reason: str, n: int = 0, units: int = 0) -> Figure:
    """A figure that cannot be had, and why."""
    return Figure(None, None, None, n, units, "", reason)


def tidy(value: float | None) -> float | None:
    """Round for JSON; what is not finite becomes None, and -0.0 becomes 0.0."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), DIGITS) + 0.0


def as_json(value: Any) -> Any:
    """Turn Figures, and numbers of any kind, within lists and dictionaries into plain JSON values."""
    if isinstance(value, Figure):
        return value.document()
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() and not isinstance(value, float) else tidy(float(value))

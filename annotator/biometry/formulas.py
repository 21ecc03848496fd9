"""How a published formula is held and applied: its terms, units, source, range and error."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from annotator.biometry.limits import implausible
from annotator.biometry.records import Checked, Estimate, Measurement, MeasureName
from annotator.biometry.terms import Terms, evaluate, written

MM, CM, METRE = 1.0, 10.0, 1000.0
DAYS_PER_WEEK = 7.0
Half = Callable[[float, Mapping[str, float]], float | None]
"""Half width of the 95 % interval for a result and the symbols' values, both in the formula's own units."""

_SYMBOLS = {MeasureName.BPD_OO: "BPD", MeasureName.BPD_OI: "BPD"}
_LINKS: dict[str, Callable[[float], float]] = {
    "": lambda value: value,
    "ln": math.exp,
    "log10": lambda value: float(10.0**value),
}


@dataclass(frozen=True)
class Formula:
    """One published equation. `link(result) = terms`; sizes enter as mm / `unit_mm`; `result_in` is its unit."""

    name: str
    needs: tuple[MeasureName, ...]
    terms: Terms
    unit_mm: float
    result_in: str
    valid: tuple[float, float]
    source: str
    checked: Checked
    half_width: Half
    error: str
    link: str = ""
    valid_mm: Mapping[MeasureName, tuple[float, float]] = field(default_factory=dict)
    note: str = ""

    @property
    def equation(self) -> str:
        """The equation as the paper writes it, with the units."""
        sizes = {MM: "mm", CM: "cm", METRE: "m"}[self.unit_mm]
        return f"{self.link} {self.result_in} = {written(self.terms)} ({sizes})".strip()

    def apply(self, sizes: Sequence[Measurement]) -> Estimate | None:
        """Estimate from the first measurement of each name needed; None where one is missing."""
        found = [next((one for one in sizes if one.name is name), None) for name in self.needs]
        if not found or any(one is None for one in found):
            return None
        inputs = [one for one in found if one is not None]
        for one in inputs:
            if reason := implausible(one.name, one.value, self.valid_mm.get(one.name)):
                return self._answer(refusal=f"{self.name}: {reason}")
        values = {_SYMBOLS.get(one.name, one.name.value): one.value / self.unit_mm for one in inputs}
        result = _LINKS[self.link](evaluate(self.terms, values))
        if not self.valid[0] <= result <= self.valid[1]:
            bounds = f"{self.valid[0]:g}-{self.valid[1]:g} {self.result_in}"
            return self._answer(refusal=f"{self.name}: {result:.4g} {self.result_in} is outside its range {bounds}")
        half = self.half_width(result, values)
        per_unit = DAYS_PER_WEEK if self.result_in == "days" else 1.0
        ends = (None, None) if half is None else ((result - half) / per_unit, (result + half) / per_unit)
        return self._answer(value=result / per_unit, low=ends[0], high=ends[1])

    def _answer(self, refusal: str = "", **numbers: float | None) -> Estimate:
        return Estimate(
            unit="g" if self.result_in == "g" else "weeks",
            formula=self.name,
            equation=self.equation,
            source=self.source,
            checked=self.checked,
            error=self.error,
            note=self.note,
            refusal=refusal,
            **numbers,
        )


def estimates(formulas: Sequence[Formula], sizes: Sequence[Measurement]) -> tuple[Estimate, ...]:
    """Apply every formula whose sizes are there, in order, those that refuse last."""
    answers = [answer for formula in formulas if (answer := formula.apply(sizes)) is not None]
    return tuple(sorted(answers, key=lambda answer: answer.value is None))

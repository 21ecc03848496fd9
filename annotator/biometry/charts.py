"""Growth charts: centiles of fetal size by gestational age, from the published median and SD equations.

INTERGROWTH-21st measured the BPD outer to outer, so an outer-inner BPD has no place on its chart.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from annotator.biometry.limits import implausible, positive
from annotator.biometry.records import Centile, Checked, MeasureName
from annotator.biometry.terms import Terms, evaluate

_LANCET = "Papageorghiou AT et al. Lancet 2014;384:869-879"
_EARLY = "Papageorghiou AT et al. Ultrasound Obstet Gynecol 2014;44:641-648"


@dataclass(frozen=True)
class Curve:
    """Median and SD in mm as terms in t (weeks), d (days), L = ln t; `log_sd` where ln SD is given."""

    median: Terms
    sd: Terms
    valid_weeks: tuple[float, float]
    source: str
    checked: Checked
    log_sd: bool = False

    def at(self, ga_weeks: float) -> tuple[float, float]:
        """Median and SD in mm."""
        values = {"t": ga_weeks, "L": math.log(ga_weeks), "d": 7 * ga_weeks}
        sd = evaluate(self.sd, values)
        return evaluate(self.median, values), math.exp(sd) if self.log_sd else sd


INTERGROWTH_21ST: Mapping[MeasureName, Curve] = {
    MeasureName.HC: Curve(
        median={"": -28.2849, "t^2": 1.69267, "t^2 L": -0.397485},
        sd={"": 1.98735, "t^3": 0.0136772, "t^3 L": -0.00726264, "t^3 L^2": 0.000976253},
        valid_weeks=(14, 40),
        source=_LANCET,
        checked=Checked.TABLES,
    ),
    MeasureName.BPD_OO: Curve(
        median={"": 5.60878, "t^2": 0.158369, "t^3": -0.00256379},
        sd={"": 0.101242, "t^3": 0.00150557, "t^3 L": -0.000771535, "t^3 L^2": 0.0000999638},
        log_sd=True,
        valid_weeks=(14, 40),
        source=_LANCET,
        checked=Checked.TABLES,
    ),
    MeasureName.OFD: Curve(
        median={"": -12.4097, "t^2": 0.626342, "t^2 L": -0.148075},
        sd={"": -0.880034, "t^2": 0.0631165, "t^2 L": -0.0317136, "t^2 L^2": 0.00408302},
        log_sd=True,
        valid_weeks=(14, 40),
        source=_LANCET,
        checked=Checked.TABLES,
    ),
    MeasureName.AC: Curve(
        median={"": -81.3243, "t": 11.6772, "t^3": -0.000561865},
        sd={"": -4.36302, "t^2": 0.121445, "t^3": -0.0130256, "t^3 L": 0.00282143},
        valid_weeks=(14, 40),
        source=_LANCET,
        checked=Checked.TABLES,
    ),
    MeasureName.FL: Curve(
        median={"": -39.9616, "t": 4.32298, "t^2": -0.0380156},
        sd={"": 0.605843, "t^-2": -42.0014, "t^3": 9.17972e-6},
        log_sd=True,
        valid_weeks=(14, 40),
        source=_LANCET,
        checked=Checked.TABLES,
    ),
    MeasureName.CRL: Curve(
        median={"": -50.6562, "d": 0.815118, "d^2": 0.00535302},
        sd={"": -2.21626, "d": 0.0984894},
        valid_weeks=(9, 14),
        source=_EARLY,
        checked=Checked.CODE,
    ),
}
CHARTS: Mapping[str, Mapping[MeasureName, Curve]] = {"INTERGROWTH-21st": INTERGROWTH_21ST}


def centile(measure: MeasureName, ga_weeks: float, value_mm: float, *, chart: str = "INTERGROWTH-21st") -> Centile:
    """Place a size on a chart; a value or age that the chart does not reach is refused in the answer.

    InputError where age or size is no positive number, KeyError for a chart that is not in CHARTS.
    """
    positive("ga_weeks", ga_weeks)
    positive(f"{measure} in mm", value_mm)
    curve = CHARTS[chart].get(measure)
    refusal = implausible(measure, value_mm) if curve else f"{chart} has no chart for {measure}"
    if curve and not refusal and not curve.valid_weeks[0] <= ga_weeks <= curve.valid_weeks[1]:
        low, high = curve.valid_weeks
        refusal = f"{chart} {measure} covers {low:g}-{high:g} weeks, not {ga_weeks:.4g}"
    median, sd = (None, None) if refusal or curve is None else curve.at(ga_weeks)
    z = None if median is None or sd is None else (value_mm - median) / sd
    return Centile(
        measure=measure,
        chart=chart,
        ga_weeks=ga_weeks,
        value=value_mm,
        unit="mm",
        centile=None if z is None else 100 * NormalDist().cdf(z),
        z=z,
        median=median,
        source=curve.source if curve else "",
        checked=curve.checked if curve else None,
        refusal=refusal,
    )


def size_at(measure: MeasureName, ga_weeks: float, percent: float, *, chart: str = "INTERGROWTH-21st") -> float:
    """Return the size in mm at a centile, as the published tables print it; KeyError for what has no chart.

    >>> round(size_at(MeasureName.HC, 20, 50), 1)
    172.5
    """
    median, sd = CHARTS[chart][measure].at(ga_weeks)
    return median + sd * NormalDist().inv_cdf(percent / 100)

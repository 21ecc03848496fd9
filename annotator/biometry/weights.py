"""Estimated fetal weight, and its centiles by gestational age."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

from annotator.biometry.formulas import CM, METRE, Formula, estimates
from annotator.biometry.limits import positive
from annotator.biometry.records import Centile, Checked, Estimate, Measurement, MeasureName
from annotator.biometry.terms import Terms, evaluate

HC, BPD, AC, FL = MeasureName.HC, MeasureName.BPD_OI, MeasureName.AC, MeasureName.FL

_HADLOCK_1985 = "Hadlock FP et al. Am J Obstet Gynecol 1985;151:333-337"
_HADLOCK_1991 = "Hadlock FP, Harrist RB, Martinez-Poyer J. Radiology 1991;181:129-133"
_STIRNEMANN = "Stirnemann J et al. Ultrasound Obstet Gynecol 2017;49:478-486"
_RANGE_G = (300.0, 5500.0)
_RANGE_NOTE = "the paper's own range of weights is not recorded here; results outside 300-5500 g are refused"

# Am J Obstet Gynecol 1985;151:333-337; log10 g, cm; the last number is 2 SD.
_HADLOCK_ROWS: tuple[tuple[str, tuple[MeasureName, ...], Terms, float], ...] = (
    (
        "A",
        (HC, BPD, AC, FL),
        {"": 1.3596, "AC FL": -0.00386, "HC": 0.0064, "BPD AC": 0.00061, "AC": 0.0424, "FL": 0.174},
        0.146,
    ),
    ("B", (HC, AC, FL), {"": 1.326, "AC FL": -0.00326, "HC": 0.0107, "AC": 0.0438, "FL": 0.158}, 0.148),
    ("D", (BPD, AC, FL), {"": 1.335, "AC FL": -0.0034, "BPD": 0.0316, "AC": 0.0457, "FL": 0.1623}, 0.146),
    ("C", (AC, FL), {"": 1.304, "AC": 0.05281, "FL": 0.1938, "AC FL": -0.004}, 0.154),
)


def _hadlock(letter: str, needs: tuple[MeasureName, ...], terms: Terms, two_sd: float) -> Formula:
    return Formula(
        name=f"Hadlock 1985 {letter}, {', '.join(name.partition('_')[0] for name in needs)}",
        needs=needs,
        terms=terms,
        link="log10",
        unit_mm=CM,
        result_in="g",
        valid=_RANGE_G,
        half_width=lambda grams, _: two_sd * grams,
        error=f"2 SD, {100 * two_sd:.1f} %",
        source=_HADLOCK_1985,
        checked=Checked.CODE,
        note=_RANGE_NOTE + ("; BPD outer to inner" if BPD in needs else ""),
    )


HADLOCK_1985 = tuple(_hadlock(*row) for row in _HADLOCK_ROWS)
# ln g = ... with a = AC / 100 and HC / 100 in cm, which are metres.
INTERGROWTH_2017 = Formula(
    name="INTERGROWTH-21st 2017, HC and AC",
    needs=(HC, AC),
    terms={"": 5.08482, "AC^3": -54.06633, "AC^3 lnAC": -95.80076, "HC": 3.13637},
    link="ln",
    unit_mm=METRE,
    result_in="g",
    valid=_RANGE_G,
    half_width=lambda _, __: None,
    error="not recorded here",
    source=_STIRNEMANN,
    checked=Checked.CODE,
    note=_RANGE_NOTE,
)
WEIGHT_FORMULAS = (*HADLOCK_1985, INTERGROWTH_2017)


def fetal_weight(
    measurements: Sequence[Measurement], formulas: Sequence[Formula] = WEIGHT_FORMULAS
) -> tuple[Estimate, ...]:
    """Estimate the weight in g by every formula whose sizes are there, in order; refusals follow at the end.

    The sizes usually come from three frames of one examination.
    """
    return estimates(formulas, measurements)


def _hadlock_1991_z(grams: float, weeks: float) -> tuple[float, float]:
    median = math.exp(evaluate({"": 0.578, "t": 0.332, "t^2": -0.00354}, {"t": weeks}))
    return (grams - median) / (0.127 * median), median


def _intergrowth_z(grams: float, weeks: float) -> tuple[float, float]:
    """Cole's LMS of ln g: z = ((ln g / M)^L - 1) / (L S)."""
    values = {"t": weeks}
    skewness = evaluate({"": -4.257629, "t^-2": -2162.234, "t^3": 0.0002301829}, values)
    mean = evaluate({"": 4.956737, "t^3": 0.0005019687, "t^3 lnt": -0.0001227065}, values)
    spread = 1e-4 * evaluate({"": -6.997171, "t^3": 0.057559, "t^3 lnt": -0.01493946}, values)
    return ((math.log(grams) / mean) ** skewness - 1) / (skewness * spread), math.exp(mean)


_Chart = tuple[Callable[[float, float], tuple[float, float]], tuple[float, float], str]
WEIGHT_CHARTS: Mapping[str, _Chart] = {
    "Hadlock 1991": (_hadlock_1991_z, (10, 40), _HADLOCK_1991),
    "INTERGROWTH-21st 2017": (_intergrowth_z, (22, 40), _STIRNEMANN),
}


def weight_centile(grams: float, ga_weeks: float, *, chart: str = "Hadlock 1991") -> Centile:
    """Place an estimated weight on a chart of WEIGHT_CHARTS; outside its weeks it is refused in the answer.

    InputError where age or weight is no positive number, KeyError for an unknown chart.
    """
    positive("grams", grams)
    positive("ga_weeks", ga_weeks)
    z_and_median, (first, last), source = WEIGHT_CHARTS[chart]
    refusal = "" if first <= ga_weeks <= last else f"{chart} covers {first}-{last} weeks, not {ga_weeks:.4g}"
    if not refusal and not 10 <= grams <= 7000:
        refusal = f"a weight of {grams:.4g} g is implausible: is it in g?"
    z, median = (None, None) if refusal else z_and_median(grams, ga_weeks)
    return Centile(
        measure="EFW",
        chart=chart,
        ga_weeks=ga_weeks,
        value=grams,
        unit="g",
        centile=None if z is None else 100 * NormalDist().cdf(z),
        z=z,
        median=median,
        source=source,
        checked=Checked.CODE,
        refusal=refusal,
    )

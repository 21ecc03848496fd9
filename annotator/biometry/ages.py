"""Gestational age from fetal size: every formula with its terms as printed in its paper, best first.

A crown-rump length dates best; later HC with FL, then HC; the Hadlock formulas follow, many sizes before few.
Hadlock measured the BPD from outer to inner edge, so that an outer-outer BPD does not enter his formulas.
"""

from collections.abc import Mapping, Sequence

from annotator.biometry.formulas import CM, DAYS_PER_WEEK, MM, Formula, estimates
from annotator.biometry.records import Checked, Estimate, Measurement, MeasureName
from annotator.biometry.terms import Terms

HC, BPD, AC, FL, CRL = MeasureName.HC, MeasureName.BPD_OI, MeasureName.AC, MeasureName.FL, MeasureName.CRL

_HADLOCK = "Hadlock FP et al. Radiology 1984;152:497-501"
_ROBINSON = "Robinson HP, Fleming JEE. Br J Obstet Gynaecol 1975;82:702-710"
_INTERGROWTH_CRL = "Papageorghiou AT et al. Ultrasound Obstet Gynecol 2014;44:641-648"
_INTERGROWTH_LATE = "Papageorghiou AT et al. Ultrasound Obstet Gynecol 2016;48:719-726"


def _intergrowth_crl_days(_: float, values: Mapping[str, float]) -> float:
    return 1.96 * (2.39102 + 0.0193474 * values["CRL"])


def _intergrowth_late_days(days: float, _: Mapping[str, float]) -> float:
    """7 days at 14 weeks, 14 at 26 weeks, and on along the same line."""
    return 7.0 + (days / DAYS_PER_WEEK - 14.0) * 7.0 / 12.0


def _composite_weeks(weeks: float, _: Mapping[str, float]) -> float:
    days = 10.0 if weeks < 22 else 14.0 if weeks < 28 else 30.0
    return days / DAYS_PER_WEEK


INTERGROWTH_CRL = Formula(
    name="INTERGROWTH-21st 2014, CRL",
    needs=(CRL,),
    terms={"": 40.9041, "CRL^0.5": 3.21585, "CRL": 0.348956},
    unit_mm=MM,
    result_in="days",
    valid=(56, 98),
    valid_mm={CRL: (15.0, 95.0)},
    half_width=_intergrowth_crl_days,
    error="1.96 SD, SD = 2.39102 + 0.0193474 CRL days",
    source=_INTERGROWTH_CRL,
    checked=Checked.CODE,
)
ROBINSON_CRL = Formula(
    name="Robinson and Fleming 1975, CRL",
    needs=(CRL,),
    terms={"": 23.73, "CRL^0.5": 8.052},
    unit_mm=MM,
    result_in="days",
    valid=(42, 98),
    half_width=lambda _, __: 4.7,
    error="2 SD, 4.7 days",
    source=_ROBINSON,
    checked=Checked.CODE,
    note="British practice since 2009 enters 1.037 CRL instead (Loughna et al.), 1 day more at 60 mm",
)
_LATE_ERROR = (
    "half of the 95 % interval: 7 days at 14 weeks, 14 at 26; later 'more than 14', taken along the same line"
)
INTERGROWTH_HC_FL = Formula(
    name="INTERGROWTH-21st 2016, HC and FL",
    needs=(HC, FL),
    terms={"lnHC^2": 0.03243, "FL lnHC": 0.001644, "": 3.813},
    link="ln",
    unit_mm=MM,
    result_in="days",
    valid=(98, 280),
    half_width=_intergrowth_late_days,
    error=_LATE_ERROR,
    source=_INTERGROWTH_LATE,
    checked=Checked.CODE,
)
INTERGROWTH_HC = Formula(
    name="INTERGROWTH-21st 2016, HC",
    needs=(HC,),
    terms={"lnHC^2": 0.05970, "HC^3": 6.409e-9, "": 3.3258},
    link="ln",
    unit_mm=MM,
    result_in="days",
    valid=(98, 280),
    half_width=_intergrowth_late_days,
    error=_LATE_ERROR,
    source=_INTERGROWTH_LATE,
    checked=Checked.CODE,
    note="for use where FL is not at hand",
)

# Radiology 1984;152:497-501; weeks, cm. Each line is one equation of the paper's table.
_HADLOCK_TERMS: tuple[tuple[tuple[MeasureName, ...], Terms], ...] = (
    ((BPD, HC, AC, FL), {"": 10.85, "HC FL": 0.060, "BPD": 0.6700, "AC": 0.1680}),
    ((HC, AC, FL), {"": 10.33, "HC FL": 0.031, "HC": 0.361, "AC FL": 0.0298}),
    ((BPD, AC, FL), {"": 10.61, "BPD FL": 0.175, "AC": 0.297, "FL": 0.71}),
    ((BPD, HC, FL), {"": 11.38, "HC FL": 0.07, "BPD": 0.98}),
    ((BPD, HC, AC), {"": 10.58, "HC^2": 0.005, "AC": 0.3635, "BPD AC": 0.02864}),
    ((HC, FL), {"": 11.19, "HC FL": 0.07, "HC": 0.263}),
    ((AC, FL), {"": 10.47, "AC": 0.442, "FL^2": 0.314, "FL^3": -0.0121}),
    ((BPD, FL), {"": 10.50, "BPD FL": 0.197, "FL": 0.95, "BPD": 0.73}),
    ((HC, AC), {"": 10.31, "HC^2": 0.012, "AC": 0.385}),
    ((BPD, HC), {"": 10.32, "HC^2": 0.009, "BPD": 1.32, "HC^3": 0.00012}),
    ((BPD, AC), {"": 9.57, "AC": 0.524, "BPD^2": 0.122}),
    ((HC,), {"": 8.96, "HC": 0.540, "HC^3": 0.0003}),
    ((BPD,), {"": 9.54, "BPD": 1.482, "BPD^2": 0.1676}),
    ((AC,), {"": 8.14, "AC": 0.753, "AC^2": 0.0036}),
    ((FL,), {"": 10.35, "FL": 2.460, "FL^2": 0.170}),
)


def _hadlock(needs: tuple[MeasureName, ...], terms: Terms) -> Formula:
    return Formula(
        name=f"Hadlock 1984, {', '.join(name.partition('_')[0] for name in needs)}",
        needs=needs,
        terms=terms,
        unit_mm=CM,
        result_in="weeks",
        valid=(14, 42),
        half_width=_composite_weeks,
        error="10 days to 21+6, 14 days to 27+6, then 30 (ACOG Committee Opinion 700, 2017, upper ends)",
        source=_HADLOCK,
        checked=Checked.CODE,
        note="BPD outer to inner" if BPD in needs else "",
    )


HADLOCK_1984 = tuple(_hadlock(needs, terms) for needs, terms in _HADLOCK_TERMS)
AGE_FORMULAS = (INTERGROWTH_CRL, ROBINSON_CRL, INTERGROWTH_HC_FL, INTERGROWTH_HC, *HADLOCK_1984)


def gestational_age(
    measurements: Sequence[Measurement], formulas: Sequence[Formula] = AGE_FORMULAS
) -> tuple[Estimate, ...]:
    """Estimate the age in weeks by every formula whose sizes are there, in the formulas' order.

    The first estimate is the one to show; the measurements may come from several frames of one examination.
    Formulas that refuse, being out of their range, follow at the end with `value` None.
    """
    return estimates(formulas, measurements)

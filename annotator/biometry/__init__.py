"""Fetal biometry: sizes in mm from outlines and points, gestational age, weight, centiles, contradictions.

For information and for checking annotations; not a medical device. Every formula carries its source, its range,
its error, and how far it was compared with its paper (`checked`, `verified`).
"""

from annotator.biometry.ages import AGE_FORMULAS, gestational_age
from annotator.biometry.calibration import Calibration, spacing_from_scale_bar
from annotator.biometry.charts import CHARTS, centile, size_at
from annotator.biometry.claims import stated_age
from annotator.biometry.contradiction import contradiction, weeks_and_days
from annotator.biometry.measures import measure
from annotator.biometry.records import (
    AgeClaim,
    Biometry,
    Centile,
    Checked,
    Contradiction,
    Estimate,
    Measurement,
    MeasureName,
    Unmeasured,
)
from annotator.biometry.report import BiometryReport, report, report_lines
from annotator.biometry.weights import WEIGHT_CHARTS, WEIGHT_FORMULAS, fetal_weight, weight_centile

__all__ = [
    "AGE_FORMULAS",
    "CHARTS",
    "WEIGHT_CHARTS",
    "WEIGHT_FORMULAS",
    "AgeClaim",
    "Biometry",
    "BiometryReport",
    "Calibration",
    "Centile",
    "Checked",
    "Contradiction",
    "Estimate",
    "MeasureName",
    "Measurement",
    "Unmeasured",
    "centile",
    "contradiction",
    "fetal_weight",
    "gestational_age",
    "measure",
    "report",
    "report_lines",
    "size_at",
    "spacing_from_scale_bar",
    "stated_age",
    "weeks_and_days",
    "weight_centile",
]

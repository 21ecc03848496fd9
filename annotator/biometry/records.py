"""What biometry says: measurements, estimates, centiles and contradictions, each with its origin or its refusal.

Lengths are in mm and never in cm; formulas that want cm convert for themselves. A number that cannot be given is
None beside a sentence that says why; exceptions are kept for misuse, such as a negative length.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from annotator.schema import Coordinate, Length, Record

Weeks = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


LABELS = {"BPD_OO": "BPD (outer-outer)", "BPD_OI": "BPD (outer-inner)", "CI": "cephalic index"}


class MeasureName(StrEnum):
    """A biometric measure, by its usual abbreviation; BPD outer to outer, and outer to inner (to the far bone)."""

    HC = "HC"
    BPD_OO = "BPD_OO"
    BPD_OI = "BPD_OI"
    OFD = "OFD"
    CI = "CI"
    AC = "AC"
    FL = "FL"
    CRL = "CRL"
    NT = "NT"

    @property
    def label(self) -> str:
        """The name to show.

        >>> MeasureName.BPD_OO.label
        'BPD (outer-outer)'
        """
        return {"BPD_OO": "BPD (outer-outer)", "BPD_OI": "BPD (outer-inner)", "CI": "cephalic index"}.get(
            self, self
        )


class Checked(StrEnum):
    """How far a formula was compared with its paper."""

    TABLES = "agrees with the published tables"
    CODE = "agrees in independent public programs; compare with the paper before clinical use"


class Measurement(Record):
    """One measured size: `value` in `unit`, how it was taken, and of which finding."""

    name: MeasureName
    value: Length
    unit: str = "mm"
    method: str
    finding_id: str


class Unmeasured(Record):
    """A measure that a finding could have given, and why it does not."""

    name: MeasureName
    reason: str
    finding_id: str


class Biometry(Record):
    """Everything measured in one frame, the best scored finding first, and what could not be measured."""

    measurements: tuple[Measurement, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()

    def find(self, name: MeasureName) -> Measurement | None:
        """Return the first measurement of that name, or None."""
        return next((one for one in self.measurements if one.name is name), None)

    def reason(self, name: MeasureName) -> str:
        """Say why a measure is missing; empty where nothing could have given it, or where it was measured."""
        return next((one.reason for one in self.unmeasured if one.name is name), "")


class Estimate(Record):
    """A gestational age (weeks) or fetal weight (g) by one formula, or `value` None and a `refusal`.

    `low` and `high` bound about 95 % of fetuses by the error that `error` names; None where none is published.
    """

    value: Length | None = None
    low: float | None = None
    high: float | None = None
    unit: str
    formula: str
    equation: str
    source: str
    checked: Checked
    error: str = ""
    note: str = ""
    refusal: str = ""

    @property
    def verified(self) -> bool:
        """True only where the numbers were compared with published tables."""
        return self.checked is Checked.TABLES


class Centile(Record):
    """Where one value lies on a chart: centile 0 to 100 and z score, or None and a `refusal`."""

    measure: str
    chart: str
    ga_weeks: Weeks
    value: Length
    unit: str
    centile: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    z: Coordinate | None = None
    median: float | None = None
    source: str = ""
    checked: Checked | None = None
    refusal: str = ""

    @property
    def verified(self) -> bool:
        """True only where the numbers were compared with published tables."""
        return self.checked is Checked.TABLES


class AgeClaim(Record):
    """A gestational age that a text states: the span of weeks its words allow, and the words."""

    low_weeks: Weeks
    high_weeks: Weeks
    words: str


class Contradiction(Record):
    """A stated and a measured gestational age that do not meet, even at the chart's error."""

    claim: AgeClaim
    field: str = Field(description="the interpretation's field that states the age")
    measured: Estimate
    gap_weeks: Weeks = Field(description="between the nearest ends of the two spans")
    message: str

"""Does the interpretation's gestational age fit the measured one?"""

from annotator.biometry.ages import gestational_age
from annotator.biometry.claims import stated_age
from annotator.biometry.records import AgeClaim, Biometry, Contradiction, Estimate
from annotator.schema import Interpretation

FIELDS = ("gestational_age", "biometric_measurements")


def contradiction(interpretation: Interpretation, biometry: Biometry) -> Contradiction | None:
    """Return the contradiction between stated and measured age, None where they can both hold or one is missing.

    The age is read in the field for it, else among the measurements. It is held against the first estimate that
    has an error; they contradict where the spans of the claim and of the 95 % interval do not meet.
    """
    measured = next((one for one in gestational_age(biometry.measurements) if one.low is not None), None)
    if measured is None or measured.low is None or measured.high is None:
        return None
    for field in FIELDS:
        if claim := stated_age(getattr(interpretation, field)):
            gap = max(measured.low - claim.high_weeks, claim.low_weeks - measured.high)
            return _contradiction(claim, field, measured, gap) if gap > 0 else None
    return None


def _contradiction(claim: AgeClaim, field: str, measured: Estimate, gap_weeks: float) -> Contradiction:
    assert measured.value is not None
    assert measured.low is not None
    assert measured.high is not None
    message = (
        f"the text says {claim.words!r}, the measured age is {weeks_and_days(measured.value)} weeks "
        f"({weeks_and_days(measured.low)} to {weeks_and_days(measured.high)}; {measured.formula})"
    )
    return Contradiction(claim=claim, field=field, measured=measured, gap_weeks=gap_weeks, message=message)


def weeks_and_days(weeks: float) -> str:
    """Write an age as sonographers do, rounded to the day.

    >>> weeks_and_days(20.43)
    '20+3'
    """
    days = round(weeks * 7)
    return f"{days // 7}+{days % 7}"

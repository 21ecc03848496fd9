"""What a text says about the age, and whether the measured age can be so."""

import time

import pytest

from annotator.biometry import (
    Biometry,
    Measurement,
    MeasureName,
    contradiction,
    size_at,
    stated_age,
    weeks_and_days,
)
from annotator.schema import Interpretation

DAY = 1 / 7


def at_weeks(*names: MeasureName, weeks: float) -> Biometry:
    """The median fetus of an age."""
    found = [
        Measurement(name=name, value=size_at(name, weeks, 50), method="given", finding_id="fnd_1") for name in names
    ]
    return Biometry(measurements=tuple(found))


READ = [
    ("24 weeks 3 days", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24 weeks and 3 days", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24 weeks, 3 days gestation", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24+3", 24 + 3 * DAY, 24 + 4 * DAY),
    ("GA 24 + 3 weeks.", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24w3d", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24 wks 0 d", 24, 24 + DAY),
    ("24 3/7 weeks", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24+3/7", 24 + 3 * DAY, 24 + 4 * DAY),
    ("24 weeks", 24, 25),
    ("A 24-week fetus", 24, 25),
    ("24 completed weeks", 24, 25),
    ("24.5 weeks", 24.45, 24.55),
    ("22-24 weeks", 22, 25),
    ("22–24 weeks", 22, 25),
    ("22 to 24 weeks of gestation", 22, 25),
    ("22w-24w", 22, 25),
    ("between 18 and 22 weeks", 18, 23),
    ("between weeks 18 and 22", 18, 23),
    ("22+0 to 24+3", 22, 24 + 4 * DAY),
    ("18.5 to 19.5 weeks", 18.45, 19.55),
    ("second trimester", 14, 28),
    ("Second trimester (approximately 20 weeks)", 19, 22),
    ("late 2nd trimester", 14, 28),
    ("mid-trimester", 14, 28),
    ("first or second trimester", 0, 28),
    ("Third-trimester scan", 28, 42),
    ("trimester 1", 0, 14),
    ("at term", 37, 42),
    ("approximately twenty weeks", 19, 22),
    ("about twenty-two weeks", 21, 24),
    ("~ 20 weeks", 19, 22),
    ("thirty one weeks", 31, 32),
    ("24 weeks ± 10 days", 24 - 10 * DAY, 25 + 10 * DAY),
    ("24 ± 1 weeks", 23, 26),
    ("24 weeks +/- 2 weeks", 22, 27),
    ("24 weeks plus or minus 1 week", 23, 26),
    ("at least 20 weeks", 20, 46),
    ("> 28 weeks", 28, 46),
    ("less than 14 weeks", 0, 15),
    ("week 24", 23, 25),
    ("the 24th week", 23, 25),
    ("168 days", 24, 24 + DAY),
    ("20 weeks; follow up in 4 weeks", 20, 21),
    ("20 weeks by HC, 22 weeks by dates", 20, 23),
    ("BPD 50 and 22 weeks", 22, 23),
    ("HC 180 mm, consistent with 20 weeks", 20, 21),
    ("Cannot be determined exactly; about 20 weeks", 19, 22),
    ("Exact age unknown but likely second trimester", 14, 28),
    ("２４ weeks", 24, 25),
]


@pytest.mark.parametrize(("text", "low", "high"), READ, ids=[row[0] for row in READ])
def test_an_age_is_read_from_its_words(text: str, low: float, high: float) -> None:
    claim = stated_age(text)
    assert claim is not None
    assert (claim.low_weeks, claim.high_weeks) == pytest.approx((low, high))
    assert claim.words == text.strip()


def test_every_day_of_a_pregnancy_is_read_in_every_spelling() -> None:
    for week in range(4, 43):
        for day in range(7):
            for spelling in ("{}+{}", "{} weeks {} days", "{}w{}d", "{} {}/7 weeks", "{} wks + {} d"):
                claim = stated_age(f"Estimated GA {spelling.format(week, day)}.")
                assert claim is not None
                assert claim.low_weeks == pytest.approx(week + day * DAY)
                assert claim.high_weeks == pytest.approx(week + (day + 1) * DAY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cannot be determined",
        "Gestational age cannot be determined from this image.",
        "Not stated",
        "Unable to estimate; unknown",
        "N/A",
        "200 weeks",
        "2 weeks",
        "age 24",
        "HC 175 mm",
        "rescan in 4 weeks",
        "It is unknown whether this is the second trimester",
        "99 weeks 3 days",
        "10:24",
        "1.24+3",
    ],
)
def test_a_text_without_an_age_claims_none(text: str) -> None:
    assert stated_age(text) is None


@pytest.mark.parametrize(
    "text", ["1 " * 5000, "24 weeks " * 2000, "first " * 3000, "+" * 9000, "24-" * 4000, "<" * 9000]
)
def test_a_hostile_text_is_read_quickly(text: str) -> None:
    begun = time.process_time()
    stated_age(text)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("text", "weeks"),
    [
        ("20 weeks", 20.0),
        ("approximately 22 weeks", 20.0),
        ("second trimester", 20.0),
        ("cannot be determined", 20.0),
        ("", 20.0),
        ("18 to 22 weeks", 23.0),
        ("34 weeks", 32.0),
    ],
)
def test_ages_that_can_both_hold_do_not_contradict(text: str, weeks: float) -> None:
    biometry = at_weeks(MeasureName.HC, weeks=weeks)
    assert contradiction(Interpretation(gestational_age=text), biometry) is None


@pytest.mark.parametrize(
    ("text", "weeks", "gap"),
    [
        ("28 weeks", 20.0, 6.5),
        ("16 weeks 2 days", 20.0, 2.1),
        ("third trimester", 20.0, 6.5),
        ("first trimester", 24.0, 8.2),
    ],
)
def test_ages_further_apart_than_the_charts_error_contradict(text: str, weeks: float, gap: float) -> None:
    found = contradiction(Interpretation(gestational_age=text), at_weeks(MeasureName.HC, weeks=weeks))
    assert found is not None
    assert found.gap_weeks == pytest.approx(gap, abs=0.2)
    assert found.field == "gestational_age"
    assert found.message.startswith(
        f"the text says {text!r}, the measured age is {weeks_and_days(found.measured.value)}"
    )
    assert found.measured.formula in found.message


def test_the_flag_goes_up_exactly_where_the_error_ends() -> None:
    biometry = at_weeks(MeasureName.HC, weeks=20)
    found = contradiction(Interpretation(gestational_age="30 weeks"), biometry)
    assert found is not None
    assert found.measured.high is not None
    last_day = int(found.measured.high * 7)
    for days, contradicts in ((last_day, False), (last_day + 1, True)):
        text = f"{days // 7}+{days % 7}"
        assert (contradiction(Interpretation(gestational_age=text), biometry) is not None) is contradicts


def test_the_best_measurement_is_held_against_the_text() -> None:
    biometry = at_weeks(MeasureName.HC, MeasureName.FL, weeks=24)
    found = contradiction(Interpretation(gestational_age="30 weeks"), biometry)
    assert found is not None
    assert found.measured.formula == "INTERGROWTH-21st 2016, HC and FL"


def test_an_age_among_the_measurements_counts_where_the_field_for_it_is_silent() -> None:
    biometry = at_weeks(MeasureName.HC, weeks=20)
    words = Interpretation(gestational_age="not stated", biometric_measurements="HC 260 mm (28w2d)")
    found = contradiction(words, biometry)
    assert found is not None
    assert found.field == "biometric_measurements"


def test_without_a_measured_age_nothing_is_contradicted() -> None:
    words = Interpretation(gestational_age="28 weeks")
    assert contradiction(words, Biometry()) is None
    assert contradiction(words, at_weeks(MeasureName.OFD, weeks=20)) is None
    tiny = Measurement(name=MeasureName.HC, value=17.5, method="given", finding_id="fnd_1")
    assert contradiction(words, Biometry(measurements=(tiny,))) is None

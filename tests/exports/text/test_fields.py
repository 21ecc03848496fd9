"""The eight fields of an interpretation: each row is a case worked by hand from the tracker's formula."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.taxonomy import INTERPRETATION_FIELDS
from exports.text.ages import BIN_STARTS_WEEKS, age_bin, values_f1
from exports.text.concepts import concept_f1
from exports.text.fields import FIELD_SCORES, FORMULAS, field_of, normality_of, quality_tier

CASES: list[tuple[str, str, str, float | None]] = [
    # F2 = 5PR / (4P + R)
    ("anatomical_structures", "heart, liver", "heart, liver", 1.0),
    ("anatomical_structures", "heart", "heart, liver", 5 * 1 * 0.5 / (4 * 1 + 0.5)),
    ("anatomical_structures", "heart, liver", "heart", 5 * 0.5 * 1 / (4 * 0.5 + 1)),
    ("anatomical_structures", "skull, vertebrae, IVC", "Fetal head, spine, inferior vena cava", 1.0),
    ("anatomical_structures", "thigh bone; stomach bubble", "femur, stomach", 1.0),
    ("anatomical_structures", "no femur seen, liver", "femur, liver", 5 * 1 * 0.5 / (4 * 1 + 0.5)),
    ("anatomical_structures", "harmonic overhead", "heart", 0.0),
    ("anatomical_structures", "caliper marks", "caliper mark", 1.0),  # no known name: as the list's entries
    ("anatomical_structures", "heart", ".", None),
    ("fetal_orientation", "Breech.", "breech", 1.0),
    ("fetal_orientation", "vertex presentation", "cephalic, head down", 0.5),
    ("fetal_orientation", "breech", "cephalic", 0.0),
    ("fetal_orientation", "unclear", "cannot be told", 0.0),
    ("imaging_plane", "transthalamic plane", "Trans-thalamic", 1.0),
    ("imaging_plane", "This is the trans-cerebellar plane", "Transcerebellar", 1.0),
    ("imaging_plane", "not transthalamic", "Trans-thalamic", 0.0),
    ("imaging_plane", "four chamber view, apical", "Four-chamber view", 0.5),
    ("imaging_plane", "sagittal view of the abdomen", "transverse section of the abdomen", 0.0),
    ("imaging_plane", "Trans-ventricular", "Trans-thalamic", 0.0),
    ("imaging_plane", "mid-sagittal view", "Midsagittal section of the face", 0.5),
    ("imaging_plane", "sagittal", "mid-sagittal", 0.0),
    ("imaging_plane", "cross-section", "axial view of the abdomen", 0.5),
    ("biometric_measurements", "BPD, HC", "head circumference and biparietal diameter", 1.0),
    ("biometric_measurements", "BPD and FL", "BPD, HC, AC", 2 * 1 / 5),
    ("biometric_measurements", "crown rump length 60 mm", "Crown-rump length (CRL)", 1.0),  # lost by the tracker
    ("biometric_measurements", "none", "not measurable", 1.0),
    ("biometric_measurements", "HC 160 mm", "none possible", 0.0),
    ("gestational_age", "about 24 weeks", "20-25 weeks", 1.0),
    ("gestational_age", "22-26 weeks", "20-25 weeks", 1.0),  # by its end, the tracker says 25-30
    ("gestational_age", "14 weeks", "13-15 weeks", 1.0),
    ("gestational_age", "12 weeks", "13-15 weeks", 0.5),
    ("gestational_age", "39 weeks", "38+ weeks", 1.0),
    ("gestational_age", "36w2d", "38+ weeks", 0.5),
    ("gestational_age", "second trimester", "20-25 weeks", 0.0),
    ("gestational_age", "cannot be determined", "unknown", 1.0),
    ("image_quality", "excellent", "Good quality", 1.0),
    ("image_quality", "moderate", "good", 0.5),
    ("image_quality", "poor", "high", 0.0),
    ("image_quality", "not good", "low", 1.0),
    ("image_quality", "suboptimal", "acceptable", 0.5),
    ("image_quality", "grey", "good", 0.0),
    ("image_quality", "good", "unknown", None),
    ("normality_assessment", "Appears normal", "Normal", 1.0),
    ("normality_assessment", "No abnormality detected", "normal", 1.0),
    ("normality_assessment", "No fetal structural abnormalities seen.", "Unremarkable", 1.0),
    ("normality_assessment", "Abnormal: thickened NT", "Abnormal, increased nuchal translucency", 1.0),
    ("normality_assessment", "Abnormal", "ventricular septal defect", 0.5),
    ("normality_assessment", "normal", "Abnormal", 0.0),
    ("normality_assessment", "not normal", "normal", 0.0),
    ("normality_assessment", "no VSD, normal", "normal", 1.0),
    ("normality_assessment", "heart seen", "normal", 0.0),
    ("normality_assessment", "normal", "see above", None),
]  # fmt: skip
PHRASES = sorted({text for _, answer, reference, _ in CASES for text in (answer, reference)})


@pytest.mark.parametrize(("field", "answer", "reference", "expected"), CASES)
def test_a_field_scores_as_worked_by_hand(field: str, answer: str, reference: str, expected: float | None) -> None:
    assert FIELD_SCORES[field](answer, reference) == (None if expected is None else pytest.approx(expected))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FIELD_SCORES)), st.sampled_from(PHRASES), st.sampled_from(PHRASES))
def test_every_score_lies_between_0_and_1_and_a_reference_agrees_with_itself(
    field: str, answer: str, reference: str
) -> None:
    score, own = FIELD_SCORES[field](answer, reference), FIELD_SCORES[field](reference, reference)
    assert score is None or 0.0 <= score <= 1.0
    assert own in (None, 1.0)
    assert (own is None) == (score is None)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PHRASES), st.sampled_from(PHRASES))
def test_scores_that_are_symmetric_are(first: str, second: str) -> None:
    for field in ("fetal_orientation", "imaging_plane", "biometric_measurements", "gestational_age"):
        assert FIELD_SCORES[field](first, second) == FIELD_SCORES[field](second, first)
    forth, back = concept_f1(first, second), concept_f1(second, first)
    assert forth == back or None in (forth, back)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_a_score(answer: str, reference: str) -> None:
    for score in (*FIELD_SCORES.values(), concept_f1, values_f1):
        value = score(answer, reference)
        assert value is None or 0.0 <= value <= 1.0


def test_every_week_falls_in_the_bin_that_names_it() -> None:
    for week in range(8, 43):
        place = age_bin(f"{week} weeks")
        assert place is not None
        assert BIN_STARTS_WEEKS[place] <= week
        assert place + 1 == len(BIN_STARTS_WEEKS) or week < BIN_STARTS_WEEKS[place + 1]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("BPD 4.5 cm", "BPD 45 mm", 1.0),
        ("biparietal diameter: 44.6mm", "BPD 45 mm", 1.0),
        ("BPD 450 mm", "BPD 45 mm", 0.0),
        ("BPD 45", "BPD 45 mm", 0.0),
        ("HC 45 mm", "BPD 45 mm", 0.0),
        ("BPD 45 mm, HC 163 mm, AC 150 mm", "HC 160 mm; BPD 45 mm", 2 * 2 / 5),
        ("NT 1,2 mm", "NT = 1.2mm", 1.0),
        ("anything", "BPD measured", None),
    ],
)
def test_measured_values_agree_whatever_their_unit(answer: str, reference: str, expected: float | None) -> None:
    assert values_f1(answer, reference) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("heart and stomach", "stomach, heart", 1.0),
        ("no ventriculomegaly", "ventriculomegaly", 0.0),
        ("placenta previa", "heart", 0.0),
        ("heart", "heart, liver, kidney", 2 * 1 / 4),
        ("heart", "nothing of note", None),
    ],
)
def test_concepts_count_with_their_denials(answer: str, reference: str, expected: float | None) -> None:
    assert concept_f1(answer, reference) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("imaging_plane", "imaging_plane"),
        ("Q3: Imaging Plane", "imaging_plane"),
        ("Q8", "clinical_recommendations"),
        ("Gestational Age", "gestational_age"),
        ("biometry", "biometric_measurements"),
        ("Q9", None),
        ("What plane is this?", None),
        ("", None),
    ],
)
def test_a_question_is_known_by_its_usual_names(question: str, field: str | None) -> None:
    assert field_of(question) == field


def test_every_field_has_its_formula_in_words() -> None:
    assert tuple(FORMULAS) == INTERPRETATION_FIELDS
    assert set(FIELD_SCORES) == set(FORMULAS) - {"clinical_recommendations"}


def test_what_says_neither_is_neither() -> None:
    assert normality_of("heart seen")[0] is None
    assert quality_tier("") is None

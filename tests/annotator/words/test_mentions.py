"""Clinical prose is read by whole words: what it names, what it denies, and what it leaves open."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator import taxonomy
from annotator.schema import Interpretation
from annotator.words import Reading, mentions


def read(text: str, field: str = "anatomical_structures") -> list[str]:
    """The structures named, in order; '-' in front of denied, '?' of unmeasured ones."""
    found = mentions(Interpretation(**{field: text}))
    return [("-" if one.negated else "?" if one.unmeasured else "") + one.structure for one in found]


DENIALS: list[tuple[str, list[str]]] = [
    # in front
    ("no femur seen", ["-legs"]),
    ("No clearly visible femur", ["-legs"]),
    ("There is no femur, tibia or arm", ["-legs", "-arm"]),
    ("no heart, stomach, femur visible", ["-cardiac", "-stomach", "-legs"]),
    ("without stomach or liver", ["-stomach", "-liver"]),
    ("no evidence of a stomach", ["-stomach"]),
    ("No view of the heart", ["-cardiac"]),
    ("neither the heart nor the stomach is visible", ["-cardiac", "-stomach"]),
    ("absent nasal bone", ["-nasal_bone"]),
    ("Absence of the nasal bone", ["-nasal_bone"]),
    ("lack of stomach bubble", ["-stomach"]),
    ("missing stomach", ["-stomach"]),
    ("unable to identify the heart", ["-cardiac"]),
    ("could not visualise the liver", ["-liver"]),
    ("failed to demonstrate the stomach", ["-stomach"]),
    ("The plane does not include the femur", ["-legs"]),
    ("This isn't the femur", ["-legs"]),
    ("nonvisualisation of stomach", ["-stomach"]),
    ("Non-visualised stomach", ["-stomach"]),
    ("abdomen w/o stomach", ["abdomen", "-stomach"]),
    ("liver rather than stomach", ["liver", "-stomach"]),
    # behind
    ("femur not seen", ["-legs"]),
    ("The femur is not clearly identified", ["legs"]),
    ("Femur and arm are not visualised", ["-legs", "-arm"]),
    ("heart, stomach and liver not identified", ["-cardiac", "-stomach", "-liver"]),
    ("the heart cannot be identified", ["-cardiac"]),
    ("the heart could not yet be definitely seen", ["-cardiac"]),
    ("stomach bubble absent", ["-stomach"]),
    ("nasal bone is absent or hypoplastic", ["-nasal_bone"]),
    ("The arm, however, is not seen", ["-arm"]),
    ("arm: not seen", ["-arm"]),
    ("arm (not seen)", ["-arm"]),
    ("arm - not visible", ["-arm"]),
    ("femur (FL) not seen", ["-legs"]),
    ("Arm: none", ["-arm"]),
    ("arm out of view", ["-arm"]),
    ("not seen: arm, liver", ["-arm", "-liver"]),
    ("not able to see the heart", ["-cardiac"]),
    ("nothing of the heart", ["-cardiac"]),
    ("the heart was never seen", ["-cardiac"]),
    ("heart excluded from the image", ["-cardiac"]),
    ("the arm, which is not visible, and the abdomen", ["-arm", "abdomen"]),
    ("Not visible structures include the heart", ["-cardiac"]),
    # where the denial ends
    ("no femur seen but the abdomen is visible", ["-legs", "abdomen"]),
    ("No femur. Abdomen.", ["-legs", "abdomen"]),
    ("no femur; abdomen", ["-legs", "abdomen"]),
    ("no femur\nabdomen", ["-legs", "abdomen"]),
    ("no femur seen, abdomen visible", ["-legs", "abdomen"]),
    ("no femur, abdomen visible", ["-legs", "abdomen"]),
    ("no femur and the abdomen is visible", ["-legs", "abdomen"]),
    ("no femur in this section of the abdomen", ["-legs", "abdomen"]),
    ("without a femur, the abdomen and the liver are shown", ["-legs", "abdomen", "liver"]),
    ("abdomen visible, femur not seen", ["abdomen", "-legs"]),
    ("abdomen, femur not seen", ["abdomen", "-legs"]),
    ("abdomen seen and femur not seen", ["abdomen", "-legs"]),
    ("this is an abdomen and the femur is not seen", ["abdomen", "-legs"]),
    ("In this section of the abdomen the femur is not seen", ["abdomen", "-legs"]),
    ("the stomach in this section of the abdomen is not seen", ["-stomach", "abdomen"]),
    ("the abdomen with stomach not seen", ["abdomen", "-stomach"]),
    ("liver and abdomen are visible but the femur is not", ["liver", "abdomen", "-legs"]),
    ("all limbs but not the femur", ["-legs"]),
    ("all structures except the femur are seen", ["-legs"]),
    ("no structure except the femur is seen", ["legs"]),
    # what is denied is not the anatomy
    ("no abnormality of the heart", ["cardiac"]),
    ("no cardiac abnormality", ["cardiac"]),
    ("no evidence of abnormality in the heart or liver", ["cardiac", "liver"]),
    ("the heart is not enlarged", ["cardiac"]),
    ("no enlargement of the heart", ["cardiac"]),
    ("stomach not dilated", ["stomach"]),
    ("no flow in the umbilical artery", ["artery"]),
    ("no shadow from the arm", ["arm"]),
    ("no heart defect", []),
    ("no choroid plexus cyst", []),
    ("without ventriculomegaly", []),
    ("No fetal abnormality", []),
    ("thalami not seen", []),
    ("not only the heart", ["cardiac"]),
    ("no doubt the heart", ["cardiac"]),
    ("heart cannot be excluded", ["cardiac"]),
    ("cannot rule out a stomach", ["stomach"]),
    ("heart not well seen", ["cardiac"]),
    ("No. 3: heart", ["cardiac"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), DENIALS)
def test_denial_reaches_as_far_as_a_reader_would_take_it(text: str, expected: list[str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LV measures 6 mm", ["LV"]),
        ("CSP and LV", ["CSP", "LV"]),
        ("heart with LV and RV", ["cardiac", "cardiac", "cardiac"]),
        ("mitral valve between LA and LV", ["cardiac", "cardiac", "cardiac"]),
        ("LA and RA", []),
        ("choroid plexus in the atrium", ["LV", "LV"]),
        ("atrium of the heart", ["cardiac", "cardiac"]),
        ("third ventricle", ["Brain"]),
        ("fetal head", ["head"]),
        ("fetal head, CSP", ["Brain", "CSP"]),
        ("fetal head, pubic symphysis", ["fetal_head", "pubic_symphysis"]),
        ("head, body, crown-rump length", ["H", "B", "CRL"]),
        ("head, arm and leg", ["head", "arm", "legs"]),
        ("the body is seen", []),
        ("head circumference", ["Brain"]),
        ("thalami, intracranial translucency", ["thalami", "IT"]),
        ("both thalami", ["Brain"]),
        ("NB seen", []),
        ("NT and NB", ["NT", "nasal_bone"]),
        ("nuchal cord", []),
        ("nuchal fold", ["Brain"]),
        ("umbilical artery and pulmonary artery", ["artery", "cardiac"]),
        ("three-vessel cord", ["artery", "vein"]),
        ("three-vessel view", ["cardiac"]),
        ("abdominal aorta", []),
        ("scale bar on the right", ["ScaleBar"]),
    ],
)
def test_a_word_of_two_meanings_is_read_in_the_light_of_the_others(text: str, expected: list[str]) -> None:
    assert read(text) == expected


def test_words_of_one_field_give_meaning_to_those_of_another() -> None:
    text = Interpretation(anatomical_structures="LV of normal size", imaging_plane="four-chamber view of the heart")
    assert {mention.structure for mention in mentions(text)} == {"cardiac"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot be measured: FL", ["?legs"]),
        ("BPD 45 mm, FL not measured", ["Brain", "?legs"]),
        ("FL not obtained", ["?legs"]),
        ("unable to measure the femur", ["?legs"]),
        ("No measurement of the femur", ["legs"]),
        ("no femur measurement", ["?legs"]),
        ("femur not seen", ["-legs"]),
    ],
)
def test_a_missing_measurement_does_not_deny_the_anatomy(text: str, expected: list[str]) -> None:
    assert read(text, "biometric_measurements") == expected


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("No measurements could be obtained", True),
        ("Not measurable in this plane", True),
        ("cannot be measured", True),
        ("unable to measure BPD at 20 weeks", True),
        ("Not applicable", True),
        ("N/A", True),
        ("none", True),
        ("HC not clearly measurable", True),
        ("BPD 45 mm, FL not measured", False),
        ("HC=175", False),
        ("HC and BPD can be measured", False),
        ("", False),
    ],
)
def test_a_text_without_a_figure_that_denies_says_that_nothing_was_measured(text: str, nothing: bool) -> None:
    assert Reading(Interpretation(biometric_measurements=text)).nothing_measured() is nothing


def test_a_mention_quotes_the_words_and_knows_its_other_labels() -> None:
    (mention,) = mentions(Interpretation(imaging_plane="Axial view of the <i>Foetal</i>  head"))
    assert mention.quoted == 'imaging_plane: "Axial view of the Foetal head"'
    (head,) = mentions(Interpretation(fetal_orientation="head down"))
    assert head.could_name[0] == "head"
    assert {"Brain", "fetal_head", "H"} < set(head.could_name)


def test_planes_come_in_the_order_of_the_text_with_techniques_last() -> None:
    text = Interpretation(imaging_plane="Doppler, four-chamber view, not transthalamic, nuchal")
    named = Reading(text).planes("imaging_plane")
    assert [one.plane.name for one in named] == ["cardiac", "nt_nasal", "abdominal_organs"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from(taxonomy.INTERPRETATION_FIELDS))
def test_any_text_can_be_read_and_quotes_only_what_it_holds(text: str, field: str) -> None:
    for mention in mentions(Interpretation(**{field: text})):
        assert mention.field == field
        assert all(taxonomy.is_structure(name) for name in mention.could_name)
        assert mention.words


@pytest.mark.parametrize("scrap", ["no femur and ", "not seen (", ", or and ", "head the of a ", "<a ", ")("])
def test_reading_takes_time_in_proportion_to_the_text(scrap: str) -> None:
    def seconds(count: int) -> float:
        begun = time.process_time()
        read(scrap * count)
        return time.process_time() - begun

    small, large = (min(seconds(count) for _ in range(5)) for count in (2000, 16000))
    assert large < 24 * small  # eight times the text: 8 in proportion, 64 by the square

"""Where the text and the geometry of one frame contradict each other, a reader is told, and only there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator import taxonomy
from annotator.consistency import check_consistency
from annotator.schema import Interpretation
from tests.builders import a_finding


def flagged(found: str = "", asked: str = "", **fields: str) -> list[str]:
    """The inconsistencies as 'structure kind'; `found` and `asked` are names parted by blanks."""
    findings = [a_finding(name) for name in found.split()]
    result = check_consistency(Interpretation(**fields), findings, asked.split())
    return [f"{item.structure} {item.kind}" for item in result]


def in_text(text: str, found: str = "", asked: str = "") -> list[str]:
    return flagged(found, asked, anatomical_structures=text)


@pytest.mark.parametrize(
    ("text", "found", "asked", "expected"),
    [
        # named, asked for, not found
        ("stomach and liver", "liver", "stomach liver", ["stomach named_not_found"]),
        ("stomach bubble, livers", "", "stomach liver", ["liver named_not_found", "stomach named_not_found"]),
        ("cavum septum pelucidum", "", "CSP", ["CSP named_not_found"]),
        ("thalami", "", "Brain", ["Brain named_not_found"]),
        ("fetal head", "", "Brain", ["Brain named_not_found"]),
        ("stomach", "", "", []),
        ("stomach", "", "liver", []),
        ("no stomach seen", "", "stomach", []),
        ("stomach not seen", "", "stomach", []),
        ("without ventriculomegaly", "", "LV", []),
        ("harmonic imaging", "", "arm", []),
        ("no abnormality of the heart", "", "cardiac", ["cardiac named_not_found"]),
        # another label of the same thing will do
        ("fetal head", "Brain", "Brain", []),
        ("fetal head", "fetal_head", "fetal_head pubic_symphysis", []),
        ("head and abdomen", "H AB", "H AB CRL", []),
        ("thalami", "thalami", "thalami", []),
        ("four chambers, LV", "cardiac", "cardiac", []),
        ("four chambers, LV", "LV", "LV cardiac", ["LV found_not_named", "cardiac named_not_found"]),
        # found, not named
        ("stomach and liver", "stomach liver legs", "", ["legs found_not_named"]),
        ("stomach", "stomach abdomen", "", []),
        ("heart", "cardiac thorax", "", []),
        ("CSP", "Brain CSP", "", []),
        ("CSP", "Brain CSP LV", "", ["LV found_not_named"]),
        ("", "stomach liver", "", []),
        ("lorem ipsum", "stomach", "", []),
        ("no femur seen", "stomach", "", []),
        ("stomach", "stomach ScaleBar NTKpoints", "", []),
        # found, denied
        ("no femur seen", "legs", "legs", ["legs found_but_denied"]),
        ("The femora are not visualised; abdomen", "legs abdomen", "", ["legs found_but_denied"]),
        ("fetal head not seen", "Brain", "", ["Brain found_but_denied"]),
        ("left lateral ventricle seen, right lateral ventricle not seen", "LV", "LV", []),
        ("thalami not seen", "Brain", "", []),
        ("no choroid plexus cyst", "LV", "", []),
        ("femur not clearly seen", "legs", "", []),
        ("femur cannot be excluded", "legs", "", []),
    ],
)
def test_text_and_geometry_are_compared_structure_by_structure(
    text: str, found: str, asked: str, expected: list[str]
) -> None:
    assert in_text(text, found, asked) == expected


def test_a_named_plane_stands_for_the_structures_in_it() -> None:
    assert flagged("Brain CSP LV", imaging_plane="transthalamic plane") == []
    assert flagged("Brain stomach", imaging_plane="transthalamic plane") == ["stomach found_not_named"]
    assert flagged("", "Brain CSP LV", imaging_plane="transthalamic plane") == []


def test_what_the_plane_would_hold_can_still_be_denied() -> None:
    kinds = flagged("Brain CSP", imaging_plane="transthalamic plane", anatomical_structures="CSP not seen")
    assert kinds == ["CSP found_but_denied"]


def test_neither_orientation_nor_advice_promises_a_structure() -> None:
    asked = "head legs cardiac"
    assert flagged("", asked, fetal_orientation="head down, legs up") == []
    assert flagged("", asked, clinical_recommendations="repeat the femur and the heart") == []
    assert flagged("", asked, gestational_age="from the femur") == []
    assert flagged("", asked, image_quality="sharp view of the heart") == []
    assert flagged("legs", fetal_orientation="legs up") == []


def test_a_measurement_that_was_not_made_promises_nothing() -> None:
    assert flagged("", "legs", biometric_measurements="FL 31 mm") == ["legs named_not_found"]
    assert flagged("", "legs", biometric_measurements="FL could not be measured") == []
    assert flagged("", "legs", biometric_measurements="FL not obtained, HC 175 mm") == []


def test_bad_image_quality_may_deny_a_structure() -> None:
    kinds = flagged("cardiac", image_quality="The heart is not seen for shadowing")
    assert kinds == ["cardiac found_but_denied"]


def test_the_evidence_quotes_the_words_and_their_field() -> None:
    text = Interpretation(anatomical_structures="<b>Stomach</b> bubble; no femur, arm")
    items = check_consistency(text, [a_finding("legs"), a_finding("head")], ["stomach", "legs"])
    assert {item.structure: item.evidence for item in items} == {
        "stomach": 'anatomical_structures: "Stomach bubble"',
        "legs": 'anatomical_structures: "femur" (denied)',
        "head": "the text names stomach",
    }


def test_two_findings_of_one_structure_are_flagged_once() -> None:
    assert in_text("stomach", "stomach legs legs") == ["legs found_not_named"]


def test_without_an_interpretation_there_is_nothing_to_compare() -> None:
    assert check_consistency(None, [a_finding("legs")], ["stomach"]) == ()
    assert check_consistency(Interpretation(), [a_finding("legs")], ["stomach"]) == ()


NAMES = st.lists(st.sampled_from([item.name for item in taxonomy.STRUCTURES]), max_size=6)
WORDS = st.sampled_from("no not femur heart LV head seen , . and stomach CSP thalami without abdomen NT".split())  # noqa: SIM905


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=15).map(" ".join), NAMES, NAMES)
def test_each_flag_tells_the_truth_about_what_was_found(text: str, found: list[str], asked: list[str]) -> None:
    items = check_consistency(
        Interpretation(anatomical_structures=text), [a_finding(name) for name in found], set(asked)
    )
    for item in items:
        assert (item.structure in found) is item.kind.startswith("found")
        assert item.kind != "named_not_found" or item.structure in asked
        assert item.evidence
    assert len({(item.structure, item.kind) for item in items}) == len(items)

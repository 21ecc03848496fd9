"""The checklists: faults by plane, and the grade that follows from them."""

import pytest

from annotator.studies import Dimension
from annotator.taxonomy import VIEWS, Family
from review.rubric import criteria_of, family_of, severities, suggest_grade


@pytest.mark.parametrize("dimension", list(Dimension))
@pytest.mark.parametrize("family", [None, *Family])
def test_every_plane_has_minor_and_major_faults_under_ids_of_their_own(
    dimension: Dimension, family: Family | None
) -> None:
    criteria = criteria_of(dimension, family)
    assert {item.severity for item in criteria} == {"minor", "major"}
    assert len({item.criterion_id for item in criteria}) == len(criteria)
    assert len({item.text for item in criteria}) == len(criteria)


@pytest.mark.parametrize(
    ("ticked", "grade"),
    [
        ([], 1),
        (["any.edge"], 2),
        (["any.edge", "brain.scalp"], 2),
        (["brain.csp"], 3),
        (["any.edge", "any.missing"], 3),
    ],
)
def test_no_fault_suggests_1_minor_ones_2_and_any_major_one_3(ticked: list[str], grade: int) -> None:
    assert suggest_grade(Dimension.ANNOTATION, ticked) == grade


def test_a_fault_of_the_other_dimension_is_unknown() -> None:
    with pytest.raises(KeyError):
        suggest_grade(Dimension.INTERPRETATION, ["any.edge"])


def test_every_view_has_a_family_and_an_unknown_plane_the_general_list() -> None:
    assert all(family_of(view.name) is view.family for view in VIEWS)
    assert family_of("no such plane") is None
    assert set(criteria_of(Dimension.ANNOTATION, None)) <= set(criteria_of(Dimension.ANNOTATION, Family.BRAIN))
    assert len(severities(Dimension.ANNOTATION)) > 30

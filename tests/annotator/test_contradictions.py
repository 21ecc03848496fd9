"""Of several readers' corrections of a frame, which one counts."""

from typing import Any

import pytest

from annotator.contradictions import contradict, settle, settled_corrections
from annotator.schema import Correction
from annotator.store import Store
from tests.builders import a_correction, a_finding, a_frame, keep_frames

FRAME = a_frame()
HERE, THERE = (4.0, 5.0, 20.0, 15.0), (18.0, 14.0, 30.0, 22.0)


def said(reader: str = "anna", structure: str = "CSP", box: Any = HERE, **more: Any) -> Correction:
    more.setdefault("findings", (a_finding(structure, box),))
    return a_correction(FRAME, reader, **more)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (said(), said("berta"), False),
        (said(box=HERE), said(box=(5.0, 5.0, 20.0, 15.0)), False),
        (said(box=HERE), said(box=THERE), True),
        (said(structure="CSP"), said(structure="CM"), True),
        (said(), said(findings=()), True),
        (said(findings=()), said(findings=()), False),
        (said(plane="Trans-thalamic"), said(plane="Trans-cerebellum"), True),
        (said(plane="Trans-thalamic"), said(plane=None), False),
        (
            said(findings=(a_finding("CSP", HERE), a_finding("CM", THERE))),
            said(findings=(a_finding("CM", THERE), a_finding("CSP", HERE))),
            False,
        ),
        (said(findings=(a_finding("CSP", HERE), a_finding("CSP", THERE))), said(), True),
    ],
    ids=[
        "equal",
        "nearly",
        "elsewhere",
        "another",
        "one saw none",
        "both none",
        "planes",
        "no plane",
        "order",
        "twice",
    ],
)
def test_readers_contradict_each_other_on_plane_structures_and_places(
    first: Correction, second: Correction, expected: bool
) -> None:
    assert contradict(first, second) is expected
    assert contradict(second, first) is expected


ANNA, BERTA, CARLA = said("anna"), said("berta", box=THERE), said("carla")


@pytest.mark.parametrize(
    ("corrections", "adjudicator", "rule", "expected"),
    [
        ([], None, "newest", None),
        ([ANNA], None, "leave_out", ANNA),
        ([ANNA, BERTA], None, "newest", BERTA),
        ([ANNA, BERTA], None, "leave_out", None),
        ([ANNA, CARLA], None, "leave_out", CARLA),
        ([ANNA, BERTA, CARLA], None, "leave_out", None),
        ([ANNA, BERTA], "anna", "newest", ANNA),
        ([ANNA, BERTA], "anna", "leave_out", ANNA),
        ([BERTA, CARLA], "anna", "leave_out", None),
        ([BERTA, CARLA], "anna", "newest", CARLA),
    ],
)
def test_the_adjudicator_counts_else_the_rule(
    corrections: list[Correction], adjudicator: str | None, rule: Any, expected: Correction | None
) -> None:
    assert settle(corrections, adjudicator=adjudicator, rule=rule) == expected


def test_frames_are_settled_one_by_one_and_skipped_ones_say_nothing(store: Store) -> None:
    first, second, third, fourth = keep_frames(store, 4)
    for frame, reader, more in [
        (first, "anna", {"findings": (a_finding("CSP", HERE),)}),
        (second, "anna", {}),
        (first, "berta", {"findings": (a_finding("CSP", THERE),)}),
        (second, "berta", {"skipped": True, "findings": ()}),
        (third, "anna", {"skipped": True, "findings": ()}),
        (fourth, "anna", {"findings": (a_finding("CSP", HERE),)}),
        (fourth, "berta", {"findings": (a_finding("CSP", THERE),)}),
        (fourth, "anna", {"findings": (a_finding("CSP", THERE),)}),  # she came round
    ]:
        store.add_corrections([a_correction(frame, reader, **more)])

    def settled(**by: Any) -> list[tuple[str, str]]:
        found = settled_corrections(store.newest_of_readers(), **by)
        return [(one.frame_id, one.reader) for one in found]

    a, b, d = first.frame_id, second.frame_id, fourth.frame_id
    assert settled() == [(a, "berta"), (b, "anna"), (d, "anna")]
    assert settled(rule="leave_out") == [(b, "anna"), (d, "anna")]
    assert settled(rule="leave_out", adjudicator="anna") == [(a, "anna"), (b, "anna"), (d, "anna")]

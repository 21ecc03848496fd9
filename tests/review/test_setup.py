"""Studies made, extended, withdrawn from, unblinded, counted and written out in long form."""

import re
from collections import Counter
from typing import Any

import pytest

from annotator.errors import InputError
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Arm, Role
from review.edits import edit_effort, hd95_px
from review.rows import plan_rows, rows_of_study
from review.setup import StudyWish, add_cases_to, create_study, study_status, unblind_study, withdraw_version
from tests.builders import a_finding, a_mask, a_masked_finding, keep_frames
from tests.review.reading import VERSIONS, a_server, a_study, add_account, predict_all


def a_wish(store: Store, **changes: Any) -> StudyWish:
    frames = keep_frames(store, 2)
    predict_all(store, frames)
    add_account(store, "anna")
    add_account(store, "chief", Role.CURATOR)
    wish: dict[str, Any] = {
        "name": "pilot",
        "versions": VERSIONS,
        "readers": ("anna",),
        "frame_ids": [frame.frame_id for frame in frames],
    }
    return StudyWish(**{**wish, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"readers": ()}, "needs a reader"),
        ({"readers": ("nobody",)}, "annotator study account nobody"),
        ({"readers": ("chief",)}, "has the role curator"),
        ({"readers": ("anna", "anna")}, "named twice"),
        ({"versions": ()}, "at least one model version"),
        ({"versions": ("skd-4b-9f3a", "skd-4b-9f3a")}, "each named once"),
        ({"versions": ("no-such-version",)}, "no-such-version.*annotator preannotate"),
        ({"frame_ids": ()}, "no prediction of these frames"),
        ({"frame_ids": ("0" * 32,)}, "no prediction of these frames"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"repeats": 0.9}, "repeats"),
        ({"washout_days": -1.0}, "washout_days"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_clear_line(
    store: Store, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=line) as caught:
        create_study(store, a_wish(store, **changes))
    assert "\n" not in str(caught.value)
    assert study_status(store) == []


def test_a_name_is_used_once(store: Store) -> None:
    create_study(store, a_wish(store))
    with pytest.raises(InputError, match="there is a study named"):
        create_study(store, a_wish(store))


def test_readers_see_a_title_that_tells_nothing(store: Store) -> None:
    a_study(store, 1, name="skd against fkd")
    (listed,) = a_server(store).reader("anna").get("state").json()["studies"]
    assert listed["title"] == "Reader study 1"


def test_the_stored_plan_is_what_the_seed_gives(store: Store) -> None:
    first = a_study(store, 6, readers=("anna", "ben"), seed=5)
    other = Store(store.workspace.parent / "other")
    second = a_study(other, 6, readers=("anna", "ben"), seed=5)
    plans = []
    for opened, study in ((store, first), (other, second)):
        with Studies(opened).reading() as rows:
            plans.append(
                [
                    (case.reader, case.frame_id, [slot.model_version for slot in case.slots])
                    for case in rows.presentations(study.study_id)
                ]
            )
    assert plans[0] == plans[1]
    other.close()


def test_cases_and_readers_are_added_behind_what_is_there(store: Store) -> None:
    study = a_study(store, 4)
    with Studies(store).reading() as rows:
        before = rows.presentations(study.study_id)
    fresh = keep_frames(store, 1, first_seed=90)
    predict_all(store, fresh)
    add_account(store, "ben")
    add_cases_to(store, "pilot", [fresh[0].frame_id, before[0].frame_id], ["ben"])
    with Studies(store).reading() as rows:
        after = rows.presentations(study.study_id, "anna")
        bens = rows.presentations(study.study_id, "ben")
    assert after[:4] == before
    assert [case.frame_id for case in after[4:]] == [fresh[0].frame_id]
    assert len(bens) == 5
    with pytest.raises(InputError, match="nothing to add"):
        add_cases_to(store, "pilot", [fresh[0].frame_id])
    with pytest.raises(InputError, match="no study named"):
        add_cases_to(store, "other", [fresh[0].frame_id])


def test_the_last_version_cannot_be_withdrawn_nor_one_that_is_not_shown(store: Store) -> None:
    a_study(store, 1, versions=VERSIONS[:2])
    withdraw_version(store, "pilot", VERSIONS[0])
    with pytest.raises(InputError, match="only version"):
        withdraw_version(store, "pilot", VERSIONS[1])
    with pytest.raises(InputError, match="does not show"):
        withdraw_version(store, "pilot", VERSIONS[0])


@pytest.mark.parametrize("role", [None, Role.READER, Role.CURATOR, Role.ADJUDICATOR])
def test_only_an_administrator_unblinds(store: Store, role: Role | None) -> None:
    a_study(store, 1)
    if role is not None:
        add_account(store, "boss", role)
    with pytest.raises(InputError, match="administrator"):
        unblind_study(store, "pilot", "boss")


def test_unblinding_is_in_the_audit_chain(store: Store) -> None:
    a_study(store, 1)
    add_account(store, "boss", Role.ADMINISTRATOR)
    before = store.verify()
    unblind_study(store, "pilot", "boss")
    after = store.verify()
    assert (after.rows, after.problems) == (before.rows + 1, [])
    assert study_status(store)[0]["unblinded"] is not None
    with Studies(store).reading() as rows:
        study = rows.study_named("pilot")
    assert study is not None
    assert study.unblinded_by == "boss"


def test_the_status_counts_and_tells_no_grade(store: Store) -> None:
    a_study(store, 2, readers=("anna", "ben"))
    reader = a_server(store).reader("anna")
    document = reader.case()
    reader.grade_all(document, "NG")
    reader.grade(document["case"], grade=2, reason="seen again")
    (status,) = study_status(store, "pilot")
    anna, ben = status["readers"]
    assert (anna["done"], anna["total"], anna["grades"], anna["changed_grades"], anna["not_gradable"]) == (
        1,
        2,
        7,
        1,
        6,
    )
    assert (ben["done"], ben["grades"]) == (0, 0)
    assert not re.search("skd|fkd|base", str(status))
    with pytest.raises(InputError, match="no study named"):
        study_status(store, "other")


# The long form


def test_each_grade_that_counts_is_one_row(store: Store) -> None:
    study = a_study(store, 10, readers=("anna", "ben"), repeats=0.2, washout_days=0)
    server = a_server(store)
    for login in ("anna", "ben"):
        server.reader(login).read_all(2)
    reader = server.reader("anna")
    with Studies(store).reading() as rows:
        token = rows.presentations(study.study_id, "anna")[0].token
    reader.grade(token, grade=3, reason="second look", criteria=["any.edge"], suggested=2, comment='a, b\n"c"')
    found = list(rows_of_study(store, study))
    assert len(found) == 2 * 12 * 3 * 2
    keys = Counter(
        (row["case"], row["reader"], row["mode"], row["version"], row["dimension"], row["repeat"]) for row in found
    )
    assert set(keys.values()) == {1}
    (changed,) = [row for row in found if row["changed"]]
    assert (changed["grade"], changed["suggested_grade"], changed["criteria"]) == (3, 2, "any.edge")
    assert changed["comment"] == 'a, b\n"c"'
    assert sum(row["repeat"] for row in found) == 2 * 2 * 6
    assert {row["plane"] for row in found} == {"transthalamic plane"}
    assert {row["period"] for row in found} == {1, 2}
    assert len({tuple(row) for row in found}) == 1


def test_a_guided_row_tells_own_view_time_and_edit_effort(store: Store) -> None:
    study = a_study(store, 1, arm=Arm.GUIDED)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    reader.post("guided/own_view", case=token, plane="Trans-thalamic", normality="normal", seconds=5)
    reader.post(
        "guided/interpretation", case=token, fields={}, plane="Trans-thalamic", normality="abnormal", seconds=6
    )
    reader.post("guided/targets", case=token, detect=["Brain", "CSP"], segment=["Brain"], seconds=7)
    reader.get("guided/run", case=token)
    reader.grade_all(reader.case(), 2)
    brain, _ = reader.case(token)["slots"][0]["overlay"]
    reader.post("guided/geometry", case=token, removed=[brain["id"]], seconds=8)
    rows = {row["dimension"]: row for row in rows_of_study(store, study)}
    for row in rows.values():
        assert (row["overturned"], row["own_view_agrees"], row["guided_seconds"]) == (1, 1, 26)
    assert rows["interpretation"]["edit_seconds"] == ""
    drawn = rows["annotation"]
    assert (drawn["edit_seconds"], drawn["apl_px"], drawn["dice_change"]) == (8, 0, 0.5)
    assert study_status(store)[0]["readers"][0]["own_views_overturned"] == 1


def test_the_plan_is_written_out_with_its_seed_and_algorithm(store: Store) -> None:
    study = a_study(store, 10, repeats=0.1, seed=11)
    rows = list(plan_rows(store, study))
    assert [row["position"] for row in rows] == list(range(1, 12))
    assert sum(row["repeat"] for row in rows) == 1
    assert {(row["seed"], row["algorithm"]) for row in rows} == {(11, "sha256-order/1")}
    assert rows[0]["slots"].startswith("A=")


# Edit effort


def test_what_was_left_alone_took_no_effort() -> None:
    brain = a_masked_finding(a_mask())
    effort = edit_effort([brain], [brain], (32, 24))
    assert effort is not None
    assert (effort.apl_px, effort.dice_change, effort.hd95_change_px) == (0, 0, 0)


def test_an_outline_moved_by_two_pixels_is_two_pixels_away() -> None:
    before, after = a_mask(box=(4, 5, 20, 15)), a_mask(box=(6, 5, 22, 15))
    effort = edit_effort([a_masked_finding(before)], [a_masked_finding(after)], (32, 24))
    assert effort is not None
    assert effort.hd95_change_px == pytest.approx(2.0)
    assert effort.dice_change == pytest.approx(1 - 2 * 140 / 320)
    assert hd95_px(before, after) == hd95_px(after, before)


def test_what_was_removed_or_added_has_no_distance() -> None:
    effort = edit_effort([a_finding("CSP", (4, 5, 8, 9))], [], (32, 24))
    assert effort is not None
    assert (effort.apl_px, effort.dice_change, effort.hd95_change_px) == (0, 1, None)
    drawn = edit_effort([], [a_finding("CSP", (4, 5, 8, 9))], (32, 24))
    assert drawn is not None
    assert drawn.apl_px == 12
    assert edit_effort([], [], (32, 24)) is None

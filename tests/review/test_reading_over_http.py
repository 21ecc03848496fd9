"""Readers at work over HTTP in autonomous mode: order, locks, resuming, two windows, limits, failures."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from annotator.schema import ParseIssue
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Role
from review.setup import add_cases_to, unblind_study, withdraw_version
from tests.builders import a_prediction, keep_frames
from tests.review.reading import (
    VERSIONS,
    Clock,
    Reader,
    a_server,
    a_study,
    add_account,
    predict_all,
    some_text,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def scores_of(store: Store) -> list[Any]:
    with Studies(store).reading() as rows:
        return [score for study_id in rows.study_ids() for score in rows.scores_of_study(study_id)]


def test_two_readers_grade_thirty_cases_of_three_slots_in_the_order_of_their_plans(store: Store) -> None:
    study = a_study(store, 30, readers=("anna", "ben"), repeats=0.1, washout_days=0)
    server = a_server(store)
    for login in ("anna", "ben"):
        tokens = server.reader(login).read_all()
        with Studies(store).reading() as rows:
            plan = rows.presentations(study.study_id, login)
        assert tokens == [case.token for case in plan]
        assert len(tokens) == 33
    scores = scores_of(store)
    assert len(scores) == 2 * 33 * 3 * 2
    assert [one.position for one in scores] == [place for _ in "ab" for place in range(1, 34) for _ in range(6)]
    assert store.verify().problems == []


def test_a_case_shows_frame_slots_fields_and_checklist(store: Store) -> None:
    a_study(store, 2)
    document = a_server(store).reader("anna").case()
    assert (document["position"], document["total"], document["mode"]) == (1, 2, "autonomous")
    assert [slot["slot"] for slot in document["slots"]] == ["A", "B", "C"]
    assert (document["frame"]["width"], document["frame"]["height"]) == (32, 24)
    for slot in document["slots"]:
        assert slot["plane"] == "transthalamic plane"
        assert len(slot["interpretation"]) == 8
        assert [shape["kind"] for shape in slot["overlay"]] == ["mask", "box"]
        assert slot["saved"] == {"interpretation": None, "annotation": None}
    assert any(item["id"] == "brain.csp" for item in document["rubric"]["annotation"]["criteria"])


def test_a_grade_is_stored_with_the_version_behind_the_letter_and_what_the_checklist_suggests(store: Store) -> None:
    study = a_study(store, 1)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    answer = reader.grade(
        token,
        "B",
        "interpretation",
        2,
        suggested=1,
        criteria=["text.omission", "text.plane"],
        error_types={"imaging_plane": ["wrong"]},
        comment="wrong plane",
        seconds=12.5,
    ).json()
    assert answer["saved"]["suggested"] == 3
    assert (answer["case_done"], answer["locked"]) == (False, False)
    (score,) = scores_of(store)
    with Studies(store).reading() as rows:
        (case,) = rows.presentations(study.study_id)
    assert score.model_version == case.slots[1].model_version
    assert score.prediction_id == case.slots[1].prediction_id
    assert (score.reader, score.grade, score.seconds, score.blinded) == ("anna", 2, 12.5, True)
    assert score.error_types == {"imaging_plane": ("wrong",)}


def test_the_next_case_can_be_fetched_before_it_is_open_but_not_graded(store: Store) -> None:
    study = a_study(store, 3)
    reader = a_server(store).reader("anna")
    first = reader.case()
    following = reader.get("next", study=study.study_id, after=first["case"]).json()
    assert following["position"] == 2
    assert reader.client.get(following["frame"]["url"]).status_code == 200
    refused = reader.grade(following["case"])
    assert refused.status_code == 409
    assert refused.json()["current"] == first["case"]
    assert reader.get("case", study=study.study_id, case=following["case"]).status_code == 409
    reader.grade_all(first)
    assert reader.case()["case"] == following["case"]


def test_a_frame_is_cached_for_good_under_a_name_that_says_nothing(store: Store) -> None:
    a_study(store, 1)
    reader = a_server(store).reader("anna")
    document = reader.case()
    answer = reader.client.get(document["frame"]["url"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "last-modified" not in answer.headers
    again = reader.client.get(document["frame"]["url"], headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


# Sent twice, out of turn, changed


def test_a_grade_sent_twice_is_one_row_and_the_same_answer(store: Store) -> None:
    a_study(store, 1)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    client_id = uuid.uuid4().hex
    answers = [reader.grade(token, client_id=client_id).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(scores_of(store)) == 1
    assert reader.grade(token, "B", client_id=client_id).status_code == 409


def test_the_last_grade_locks_the_case_and_a_change_needs_a_reason_and_adds_a_row(store: Store) -> None:
    study = a_study(store, 1)
    reader = a_server(store).reader("anna")
    document = reader.case()
    last = reader.grade_all(document)
    assert (last["case_done"], last["locked"]) == (True, True)
    assert reader.grade(document["case"], grade=3).status_code == 409
    assert reader.grade(document["case"], grade=3, reason="  ").status_code == 409
    changed = reader.grade(document["case"], grade=3, reason="I had looked at the wrong slot").json()
    assert (changed["saved"]["grade"], changed["saved"]["changed"], changed["locked"]) == (3, 1, True)
    scores = scores_of(store)
    assert len(scores) == 7
    assert scores[-1].replaces in {score.score_id for score in scores[:-1]}
    past = reader.get("case", study=study.study_id, case=document["case"]).json()
    assert past["locked"]
    assert past["slots"][0]["saved"]["annotation"]["grade"] == 3


def test_before_the_lock_a_grade_may_be_changed_freely_and_the_newest_counts(store: Store) -> None:
    a_study(store, 1)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    reader.grade(token, grade=1)
    reader.grade(token, grade=2)
    assert reader.case()["slots"][0]["saved"]["annotation"]["grade"] == 2
    assert [score.grade for score in scores_of(store)] == [1, 2]


def test_two_windows_of_one_reader_cannot_both_move_on(store: Store) -> None:
    a_study(store, 3)
    server = a_server(store)
    first, second = server.reader("anna"), server.reader("anna")
    seen, seen_too = first.case(), second.case()
    assert seen["case"] == seen_too["case"]
    first.grade_all(seen)
    refused = second.grade(seen_too["case"], "C", "annotation", 3)
    assert refused.status_code == 409
    assert second.case()["position"] == 2
    assert len(scores_of(store)) == 6


def test_another_computer_goes_on_at_the_same_case_with_the_same_draft(store: Store) -> None:
    a_study(store, 2)
    server = a_server(store)
    reader = server.reader("anna")
    token = reader.case()["case"]
    reader.grade(token, "A", "annotation", 2)
    reader.post("draft", case=token, draft={"comment": "half a sent"})
    reader.post("draft", case=token, draft={"comment": "half a sentence"})
    elsewhere = a_server(store).reader("anna").case()
    assert elsewhere["case"] == token
    assert elsewhere["draft"] == {"comment": "half a sentence"}
    assert elsewhere["slots"][0]["saved"]["annotation"]["grade"] == 2


# Washout and sittings


def test_the_washout_keeps_the_second_period_closed_and_does_not_tell_which_cases_repeat(
    store: Store, clock: Clock
) -> None:
    study = a_study(store, 10, repeats=0.2, washout_days=7, clock=clock)
    reader = a_server(store, clock).reader("anna")
    first = reader.read_all()
    assert len(first) == 8
    waiting = reader.case()
    assert waiting["finished"]
    assert waiting["waiting_until"].startswith("2026-03-08")
    assert reader.get("state").json()["studies"][0]["blocked"].startswith("washout until 08 March 2026")
    with Studies(store).reading() as rows:
        later = rows.presentations(study.study_id)[8]
    assert reader.grade(later.token).status_code == 429
    assert "case" not in reader.get("next", study=study.study_id, after=first[-1]).json()
    clock.move(days=7, hours=-1)
    again = a_server(store, clock).reader("anna")
    assert "case" not in again.case()
    clock.move(hours=1)
    assert len(again.read_all()) == 4
    assert again.case() == {"finished": True, "waiting_until": None, "reason": None, "done": 12, "total": 12}
    assert sum(score.repeat for score in scores_of(store)) == 2 * 6


def test_a_sitting_ends_at_its_limit_and_goes_on_after_the_break(store: Store, clock: Clock) -> None:
    a_study(store, 5, session_cases=2, clock=clock)
    reader = a_server(store, clock).reader("anna")
    for left in (2, 1):
        document = reader.case()
        assert document["session"] == {"graded": 2 - left, "limit": 2, "minutes_left": None}
        reader.grade_all(document)
        clock.move(minutes=1)
    assert reader.case()["reason"].startswith("session limit reached")
    with Studies(store).reading() as rows:
        third = rows.presentations(rows.study_ids()[0])[2]
    refused = reader.grade(third.token)
    assert refused.status_code == 429
    assert refused.json()["until"].startswith("2026-03-01T08:31")
    clock.move(minutes=30)
    assert reader.case()["case"] == third.token


def test_a_case_that_was_begun_may_be_finished_past_the_limit(store: Store, clock: Clock) -> None:
    a_study(store, 3, session_minutes=10, clock=clock)
    reader = a_server(store, clock).reader("anna")
    reader.grade_all(reader.case())
    clock.move(minutes=9)
    document = reader.case()
    assert document["session"]["minutes_left"] == 1.0
    reader.grade(document["case"], "A", "annotation", 1)
    clock.move(minutes=5)
    assert reader.grade_all(document)["case_done"]
    assert "case" not in reader.case()


def test_a_clock_that_jumps_a_year_ahead_and_back_stops_nobody(store: Store, clock: Clock) -> None:
    a_study(store, 6, session_cases=4, washout_days=0, clock=clock)
    reader = a_server(store, clock).reader("anna")
    reader.grade_all(reader.case())
    clock.move(days=365)
    late = a_server(store, clock).reader("anna")  # the first login has expired meanwhile
    late.grade_all(late.case())
    clock.move(days=-365, minutes=1)
    reader = a_server(store, clock).reader("anna")
    reader.grade_all(reader.case())
    assert reader.case()["session"]["graded"] == 3
    clock.move(days=-30)
    back = a_server(store, clock).reader("anna")
    back.grade_all(back.case())
    assert "session limit" in back.case()["reason"]
    clock.move(minutes=31)
    assert back.case()["position"] == 5


# Outputs that failed, versions that go, cases that come


def test_a_failed_output_says_so_and_takes_only_not_gradable(store: Store) -> None:
    frames = keep_frames(store, 2)
    predict_all(store, frames[1:])
    predict_all(store, frames[:1], VERSIONS[:1])
    broken = a_prediction(
        frames[0], VERSIONS[2], findings=(), issues=(ParseIssue(phase="detect", reason="timeout"),)
    )
    with store.writing() as connection:
        store.add_predictions(connection, [broken])
    a_study(store, frames, predicted=True)
    reader = a_server(store).reader("anna")
    if not any(slot["failed"] for slot in reader.case()["slots"]):
        reader.grade_all(reader.case())
    document = reader.case()
    by_failure = {slot["slot"]: slot["failed"] for slot in document["slots"]}
    assert sorted(map(str, by_failure.values())) == ["None"] + ["This output could not be produced."] * 2
    failed = next(letter for letter, line in by_failure.items() if line)
    assert reader.grade(document["case"], failed, grade=3).status_code == 400
    assert reader.grade(document["case"], failed, grade="NG").status_code == 200


def test_an_output_without_text_is_not_a_failed_one(store: Store) -> None:
    frames = keep_frames(store, 1)
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frames[0], version) for version in VERSIONS])
    a_study(store, frames, predicted=True)
    reader = a_server(store).reader("anna")
    document = reader.case()
    assert {(slot["interpretation"], slot["failed"]) for slot in document["slots"]} == {(None, None)}
    assert reader.grade_all(document, 2)["case_done"]


def test_a_version_withdrawn_in_mid_study_goes_from_open_cases_and_its_grades_stay(store: Store) -> None:
    study = a_study(store, 4)
    reader = a_server(store).reader("anna")
    reader.grade_all(reader.case())
    begun = reader.case()
    letters = {slot.model_version: slot.letter for slot in _plan(store)[1].slots}
    kept = [letters[version] for version in VERSIONS[1:]]
    for letter in kept:
        for dimension in ("interpretation", "annotation"):
            reader.grade(begun["case"], letter, dimension)
    withdraw_version(store, study.name, VERSIONS[0])
    assert reader.case()["position"] == 3
    third = reader.case()
    assert len(third["slots"]) == 2
    gone = ({"A", "B", "C"} - {slot["slot"] for slot in third["slots"]}).pop()
    assert reader.grade(third["case"], gone).status_code == 400
    assert len(reader.read_all()) == 2
    assert sum(score.model_version == VERSIONS[0] for score in scores_of(store)) == 2
    assert store.verify().problems == []


def _plan(store: Store) -> list[Any]:
    with Studies(store).reading() as rows:
        return rows.presentations(rows.study_ids()[0])


def test_a_prediction_that_was_lost_is_told_and_stops_nobody(store: Store) -> None:
    a_study(store, 1)
    lost = _plan(store)[0].slots[0].prediction_id
    engine = create_engine(f"sqlite:///{store.workspace / 'annotator.db'}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM prediction WHERE record_id = :lost"), {"lost": lost})
    engine.dispose()
    reader = a_server(store).reader("anna")
    document = reader.case()
    assert document["slots"][0]["failed"] == "This output is no longer available."
    assert reader.grade_all(document, "NG")["case_done"]


def test_cases_added_in_mid_study_come_after_all_others(store: Store) -> None:
    study = a_study(store, 2)
    server = a_server(store)
    reader = server.reader("anna")
    first = reader.case()["case"]
    fresh = keep_frames(store, 2, first_seed=100)
    predict_all(store, fresh)
    add_cases_to(store, study.name, [frame.frame_id for frame in fresh])
    document = reader.case()
    assert (document["case"], document["total"]) == (first, 4)
    assert len(reader.read_all()) == 4


def test_what_is_shown_is_what_was_predicted_when_the_study_was_made(store: Store) -> None:
    frames = keep_frames(store, 1)
    predict_all(store, frames)
    a_study(store, frames, predicted=True)
    with store.writing() as connection:
        later = [
            a_prediction(frames[0], version, interpretation=some_text(image_quality="NEW")) for version in VERSIONS
        ]
        store.add_predictions(connection, later)
    assert "NEW" not in str(a_server(store).reader("anna").case())


def test_grades_after_unblinding_are_marked(store: Store) -> None:
    study = a_study(store, 1)
    add_account(store, "boss", Role.ADMINISTRATOR)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    reader.grade(token, "A")
    unblind_study(store, study.name, "boss")
    reader.grade(token, "B")
    assert [score.blinded for score in scores_of(store)] == [True, False]


# Bad input


@pytest.fixture(scope="module")
def one_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Reader]]:
    """A study of one case, which nothing of what follows may change."""
    opened = Store(tmp_path_factory.mktemp("one") / "workspace")
    a_study(opened, 1)
    yield opened, a_server(opened).reader("anna")
    opened.close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"grade": 0}, 400),
        ({"grade": 4}, 400),
        ({"grade": "1"}, 400),
        ({"grade": True}, 400),
        ({"grade": None}, 400),
        ({"grade": 1.5}, 400),
        ({"slot": "D"}, 400),
        ({"slot": "AB"}, 400),
        ({"slot": ""}, 400),
        ({"dimension": "beauty"}, 400),
        ({"criteria": ["no.such"]}, 400),
        ({"criteria": ["text.plane"]}, 400),
        ({"criteria": ["any.edge"] * 65}, 400),
        ({"error_types": {"imaging_plane": ["wrong"]}}, 400),
        ({"error_types": {"no_field": ["wrong"]}}, 400),
        ({"error_types": {"imaging_plane": ["ugly"]}}, 400),
        ({"seconds": -1}, 400),
        ({"seconds": 1e12}, 400),
        ({"client_id": "short"}, 400),
        ({"client_id": "x" * 65}, 400),
        ({"surprise": 1}, 400),
        ({"case": "0" * 32}, 404),
        ({"case": "../../annotator.db"}, 404),
        ({"case": 7}, 400),
        ({"comment": "x" * 10_001}, 413),
        ({"comment": "x" * 100_000}, 413),
        ({"comment": "é" * 400_000}, 413),
        ({"reason": "x" * 10_001}, 413),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_one_clear_line_and_stores_nothing(
    one_case: tuple[Store, Reader], changes: dict[str, Any], status: int
) -> None:
    store, reader = one_case
    body = {
        "case": reader.case()["case"],
        "slot": "A",
        "dimension": "annotation",
        "grade": 1,
        "client_id": "x" * 32,
    }
    answer = reader.post("grade", **{**body, **changes})
    assert answer.status_code == status, answer.text
    line = answer.json()["error"]
    assert line
    assert "\n" not in line
    assert len(line) < 200
    assert scores_of(store) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"case": NaN}', b'{"a":' * 5000, b"1" * 300_000]
)
def test_a_body_that_is_no_grade_is_refused(one_case: tuple[Store, Reader], body: bytes) -> None:
    store, reader = one_case
    headers = {"content-type": "application/json", "x-annotator": "1"}
    answer = reader.client.post("/review/api/grade", content=body, headers=headers)
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]
    assert scores_of(store) == []


MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "${globalThis.stolen=1}",
    "{{constructor.constructor('alert(1)')()}}",
    "{% raw %}{{x}}",
    "'; DROP TABLE review_score; --",
    "\u202egnp.exe\x00\u2028",
    "=HYPERLINK(1)",
]


@pytest.mark.parametrize("words", MARKUP)
def test_markup_in_titles_comments_and_model_text_travels_as_plain_json(store: Store, words: str) -> None:
    frames = keep_frames(store, 1)
    written = some_text(image_quality=words)
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frames[0], "skd-4b-9f3a", interpretation=written)])
    a_study(store, frames, versions=VERSIONS[:1], predicted=True, name=words, title=words)
    reader = a_server(store).reader("anna")
    state = reader.get("state")
    assert state.json()["studies"][0]["title"] == words
    document = reader.case()
    assert document["slots"][0]["interpretation"]["image_quality"] == words
    saved = reader.grade(document["case"], comment=words).json()["saved"]
    assert saved["comment"] == words
    for answer in (state, reader.get("case", study=document["study"])):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert scores_of(store)[0].comment == words


def test_a_draft_of_100_kb_is_refused_and_the_older_one_stays(store: Store) -> None:
    a_study(store, 1)
    reader: Reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    assert reader.post("draft", case=token, draft={"comment": "short"}).json() == {"saved": True}
    assert reader.post("draft", case=token, draft={"comment": "x" * 100_000}).status_code == 413
    assert reader.case()["draft"] == {"comment": "short"}

"""Rows of reader studies in SQLite and PostgreSQL: chained, in order, and who may never be trained on."""

import pytest
from sqlalchemy import create_engine, text

from annotator.errors import StoreError
from annotator.schema import new_id
from annotator.store import Store
from annotator.store.logins import Logins
from annotator.store.studies import Presentation, Slot, Studies, frozen_frame_ids, study_subjects
from annotator.studies import (
    Account,
    Adjudication,
    Dimension,
    Mode,
    Normality,
    OwnView,
    ReviewScore,
    Role,
    StepKind,
    Study,
    StudyCase,
    StudyStep,
)
from tests.builders import a_frame


def a_study(*frame_ids: str, name: str = "pilot", study_id: str = "stu_1") -> Study:
    cases = tuple(StudyCase(frame_id=frame_id, prediction_ids=(None,)) for frame_id in frame_ids)
    return Study(
        study_id=study_id,
        name=name,
        title="Reader study",
        batches=(cases,),
        versions=("v1",),
        readers=("anna",),
        algorithm="x",
        secret="s",
        rubric="1",
    )


def a_score(token: str = "t1", **more: object) -> ReviewScore:
    fields: dict[str, object] = {
        "study_id": "stu_1",
        "token": token,
        "frame_id": "f",
        "prediction_id": None,
        "model_version": "v1",
        "reader": "anna",
        "mode": Mode.AUTONOMOUS,
        "dimension": Dimension.ANNOTATION,
        "grade": 2,
        "slot": "A",
        "position": 1,
        "client_id": new_id("cli"),
    }
    return ReviewScore.model_validate({**fields, **more})


def a_presentation(sequence: int, *, reader: str = "anna", period: int = 0) -> Presentation:
    return Presentation(
        token=f"{reader}{sequence}",
        study_id="stu_1",
        reader=reader,
        sequence=sequence,
        period=period,
        mode=Mode.GUIDED,
        frame_id="f",
        slots=(Slot("A", "v1", "prd_1"), Slot("B", "v2", None)),
    )


@pytest.fixture
def full(store: Store) -> Store:
    """One row in each append-only table of reader studies."""
    with Studies(store).writing() as rows:
        rows.add_account(Account(login="anna", role=Role.READER, password_hash="x"))
        rows.add_study(a_study("f"))
        rows.add_score(a_score())
        view = OwnView(plane="other", normality=Normality.UNSURE)
        step = {"study_id": "stu_1", "token": "t1", "frame_id": "f", "prediction_id": None, "reader": "anna"}
        rows.add_step(StudyStep(**step, step=StepKind.OWN_VIEW, own_view=view))  # type: ignore[arg-type]
        rows.add_adjudication(
            Adjudication(
                study_id="stu_1",
                token="t1",
                frame_id="f",
                prediction_id=None,
                model_version="v1",
                mode=Mode.AUTONOMOUS,
                adjudicator="judge",
                dimension=Dimension.ANNOTATION,
                grade="NG",
                settles=("scr_1",),
                client_id="c" * 12,
            )
        )
    return store


TABLES = ["account", "study", "review_score", "study_step", "adjudication"]


def test_rows_come_back_as_they_went_in(full: Store) -> None:
    with Studies(full).reading() as rows:
        assert rows.account("anna") == rows.accounts()[0]
        assert rows.study_named("pilot") == rows.study("stu_1")
        (score,) = rows.scores("t1")
        assert rows.scores_of_study("stu_1") == [score]
        assert rows.score_sent("anna", score.client_id) == score
        assert rows.score_count("stu_1") == 1
        assert rows.steps("t1") == rows.steps_of_study("stu_1")
        assert rows.adjudications("stu_1")[0].grade == "NG"
    assert full.verify().problems == []
    assert full.verify().rows == 5


@pytest.mark.parametrize("table", TABLES)
def test_a_changed_or_removed_row_is_found(full: Store, table: str) -> None:
    engine = create_engine(full._url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET payload = replace(payload, 'stu_1', 'stu_2') || ' '"))
    (problem,) = full.verify().problems
    assert "was changed" in problem
    with engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()
    (problem,) = full.verify().problems
    assert "was removed" in problem


def test_the_same_request_cannot_be_stored_twice(full: Store) -> None:
    def twice() -> None:
        with Studies(full).writing() as rows:
            rows.add_score(a_score(client_id="same-request"))
            rows.add_score(a_score(client_id="same-request"))

    with pytest.raises(StoreError):
        twice()
    with Studies(full).reading() as rows:
        assert rows.score_count("stu_1") == 1
    assert full.verify().problems == []


def test_the_newest_account_and_study_count_and_older_rows_stay(full: Store) -> None:
    with Studies(full).writing() as rows:
        rows.add_account(Account(login="anna", role=Role.CURATOR, password_hash="y"))
        rows.add_study(a_study("f", "g").model_copy(update={"revision_id": "str_2"}))
        rows.add_study(a_study("h", name="other", study_id="stu_2").model_copy(update={"revision_id": "str_3"}))
    with Studies(full).reading() as rows:
        account, study = rows.account("anna"), rows.study("stu_1")
        assert account is not None
        assert account.role is Role.CURATOR
        assert study is not None
        assert len(study.cases) == 2
        assert rows.study_ids() == ["stu_1", "stu_2"]
        assert rows.study_revision("stu_1") == "str_2"
        assert rows.study_revision("none") is None
    assert full.verify().rows == 8


def test_cases_are_read_in_the_order_of_the_plan(store: Store) -> None:
    studies = Studies(store)
    with studies.writing() as rows:
        rows.add_study(a_study("f"))
        rows.add_presentations([a_presentation(place, period=place // 2) for place in (3, 1, 0, 2)])
        rows.add_presentations([a_presentation(0, reader="ben")])
    with studies.writing() as rows:
        first = rows.first_open("stu_1", "anna")
        assert first == a_presentation(0)
        assert rows.following(first) == a_presentation(1)
        rows.put_draft("anna0", {"comment": "x"}, 1.0)
        assert rows.draft("anna0") == {"comment": "x"}
        for place in range(3):
            rows.finish(f"anna{place}", 100.0 + place)
        assert rows.draft("anna0") is None
    with studies.reading() as rows:
        assert rows.first_open("stu_1", "anna") == a_presentation(3, period=1)
        assert rows.progress("stu_1", "anna") == (3, 4)
        assert rows.progress("stu_1", "nobody") == (0, 0)
        assert rows.finish_times("stu_1", "anna") == [100.0, 101.0, 102.0]
        assert rows.finish_times("stu_1", "anna", newest=1) == [102.0]
        assert rows.finish_times("stu_1", "anna", before_period=1) == [100.0, 101.0]
        assert [case.token for case in rows.presentations("stu_1")] == ["anna0", "anna1", "anna2", "anna3", "ben0"]
        assert rows.studies_of("ben") == ["stu_1"]
        assert rows.following(a_presentation(3)) is None


def test_frames_of_a_study_and_all_others_of_its_subjects_and_groups_are_frozen(store: Store) -> None:
    shown = a_frame(1, "1.png", subject="s1")
    sister, cine = a_frame(2, "2.png", subject="s1"), a_frame(3, "3.png", group="clip", subject="s2")
    same_clip, free = a_frame(4, "4.png", group="clip"), a_frame(5, "5.png", subject="s3")
    nameless, other = a_frame(6, "6.png"), a_frame(7, "7.png")
    store.add_frames([shown, sister, cine, same_clip, free, nameless, other])
    assert frozen_frame_ids(store) == study_subjects(store) == frozenset()
    with Studies(store).writing() as rows:
        rows.add_study(a_study(shown.frame_id, cine.frame_id, nameless.frame_id))
    frozen = {frame.frame_id for frame in (shown, sister, cine, same_clip, nameless)}
    assert frozen_frame_ids(store) == frozen
    assert study_subjects(store) == {"s1", "s2"}


def test_login_sessions_and_failures_are_kept_and_forgotten(store: Store) -> None:
    logins = Logins(store)
    logins.open_session("a", "anna", now=0.0, expires_at=10.0)
    logins.open_session("b", "anna", now=5.0, expires_at=20.0)
    assert logins.session("a") == ("anna", 10.0)
    logins.open_session("c", "ben", now=11.0, expires_at=30.0)
    assert logins.session("a") is None
    logins.close_sessions_of("anna")
    assert logins.session("b") is None
    logins.close_session("c")
    assert logins.session("c") is None
    for now in (1.0, 2.0, 3.0):
        logins.note_failure("account:anna", now=now, forget_after_s=100.0)
    assert logins.failures("account:anna") == (3, 3.0)
    logins.note_failure("account:anna", now=500.0, forget_after_s=100.0)
    assert logins.failures("account:anna") == (1, 500.0)
    logins.forget_failures("account:anna")
    assert logins.failures("account:anna") == (0, 0.0)


@pytest.mark.parametrize("grade", [0, 4, True, "1", "ng", 1.5, None])
def test_a_grade_is_1_2_3_or_not_gradable(grade: object) -> None:
    with pytest.raises(ValueError, match="grade"):
        a_score(grade=grade)

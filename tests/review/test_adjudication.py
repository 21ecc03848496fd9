"""Adjudication: what readers disagree on, seen without their names, settled beside their grades."""

import pytest

from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Role
from tests.review.reading import Server, a_server, a_study, add_account


@pytest.fixture
def server(store: Store) -> Server:
    """Anna finds every annotation acceptable, Ben none; both agree on every interpretation."""
    a_study(store, 2, readers=("anna", "ben"), versions=("v1-aaaa", "v2-bbbb"))
    add_account(store, "judge", Role.ADJUDICATOR)
    made = a_server(store)
    for login, grade in (("anna", 1), ("ben", 3)):
        reader = made.reader(login)
        while "case" in (document := reader.case()):
            for slot in document["slots"]:
                reader.grade(document["case"], slot["slot"], "interpretation", 1)
                reader.grade(document["case"], slot["slot"], "annotation", grade)
    return made


def test_an_adjudicator_sees_one_output_at_a_time_and_two_grades_without_names(server: Server) -> None:
    judge = server.reader("judge")
    (study,) = judge.get("state").json()["studies"]
    assert (study["mode"], study["done"], study["total"]) == ("adjudication", 0, 4)
    document = judge.case()
    assert (document["mode"], document["dimensions"]) == ("adjudication", ["annotation"])
    (slot,) = document["slots"]
    assert slot["slot"] == "A"
    assert sorted(one["grade"] for one in slot["grades"]["annotation"]) == [1, 3]
    assert {one["reader"] for one in slot["grades"]["annotation"]} == {"Reader 1", "Reader 2"}
    assert "interpretation" not in slot["grades"]
    assert judge.client.get(document["frame"]["url"]).status_code == 200
    text = judge.get("case", study=study["study"]).text
    for word in ("anna", "ben", "v1-aaaa", "v2-bbbb", "frame00"):
        assert word not in text


def test_which_reader_is_first_changes_from_case_to_case(store: Store) -> None:
    a_study(store, 12, readers=("anna", "ben"), versions=("v1-aaaa",))
    add_account(store, "judge", Role.ADJUDICATOR)
    server = a_server(store)
    server.reader("anna").read_all(1)
    server.reader("ben").read_all(3)
    judge = server.reader("judge")
    orders = set()
    while "case" in (document := judge.case()):
        orders.add(tuple(one["grade"] for one in document["slots"][0]["grades"]["annotation"]))
        for dimension in document["dimensions"]:
            judge.grade(document["case"], "A", dimension, 2)
    assert orders == {(1, 3), (3, 1)}


def test_what_is_settled_stands_beside_the_grades_and_changes_none(store: Store, server: Server) -> None:
    judge = server.reader("judge")
    with Studies(store).reading() as rows:
        before = rows.scores_of_study(rows.study_ids()[0])
    document = judge.case()
    following = judge.get("next", study=document["study"], after=document["case"]).json()
    assert judge.grade(document["case"], "A", "interpretation", 2).status_code == 400
    answer = judge.grade(document["case"], "A", "annotation", 2, client_id="c" * 32, comment="in between").json()
    assert answer["case_done"]
    assert (
        judge.grade(document["case"], "A", "annotation", 2, client_id="c" * 32).json()["saved"] == answer["saved"]
    )
    assert judge.grade(document["case"], "A", "annotation", 3).status_code == 409
    assert judge.grade(document["case"], "A", "annotation", 3, reason="second look").status_code == 200
    assert judge.case()["case"] == following["case"]
    with Studies(store).reading() as rows:
        study_id = rows.study_ids()[0]
        assert rows.scores_of_study(study_id) == before
        made = rows.adjudications(study_id)
    assert [one.grade for one in made] == [2, 3]
    assert len(made[0].settles) == 2
    assert made[1].replaces == made[0].adjudication_id
    assert store.verify().problems == []


def test_settling_everything_finishes(server: Server) -> None:
    judge = server.reader("judge")
    count = 0
    while "case" in (document := judge.case()):
        judge.grade(document["case"], "A", "annotation", 2)
        count += 1
    assert count == 4
    assert judge.case()["finished"]


def test_readers_cannot_see_adjudications_and_two_adjudicators_not_each_others(
    store: Store, server: Server
) -> None:
    add_account(store, "other-judge", Role.ADJUDICATOR)
    judge, other = server.reader("judge"), server.reader("other-judge")
    token = judge.case()["case"]
    assert other.case()["case"] != token
    assert other.grade(token).status_code == 404
    assert other.get(f"frame/{token}.png").status_code == 404
    reader = server.reader("anna")
    assert reader.grade(token).status_code == 404
    assert reader.get("state").json()["studies"][0]["mode"] == "autonomous"
    judge.grade(token, grade=2)
    assert other.get("state").json()["studies"][0]["done"] == 0


def test_where_readers_agree_there_is_nothing_to_settle(store: Store) -> None:
    study = a_study(store, 1, readers=("anna", "ben"))
    add_account(store, "judge", Role.ADJUDICATOR)
    server = a_server(store)
    for login in ("anna", "ben"):
        server.reader(login).read_all(2)
    judge = server.reader("judge")
    assert judge.get("state").json()["studies"] == []
    assert judge.get("case", study=study.study_id).json()["finished"]

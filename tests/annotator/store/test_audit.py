"""The audit chain: whatever is done to the rows behind the tool's back is found."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from annotator.store import Store
from annotator.store.audit import GENESIS
from annotator.store.tables import CHAINED
from tests.builders import a_correction, a_model, a_prediction, keep_frames


@pytest.fixture
def full(store: Store) -> Store:
    """Every append-only table filled: 3 frames, names and predictions, 2 corrections, 1 model version."""
    frames = keep_frames(store, 3)
    store.add_model_version(a_model())
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frame) for frame in frames])
    store.add_corrections(
        [a_correction(frame, external_id=f"ls:{place}") for place, frame in enumerate(frames[:2])]
    )
    return store


def tamper(store: Store, *statements: str) -> list[str]:
    """Change the database as someone with a database tool would, and return what verify finds."""
    engine = create_engine(store._url)
    with engine.begin() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement
    engine.dispose()
    return store.verify().problems


def test_an_empty_workspace_is_clean_and_its_chain_begins_at_zero(store: Store) -> None:
    report = store.verify()
    assert (report.rows, report.head, report.problems) == (0, GENESIS, [])


def test_an_untouched_workspace_is_clean_and_counts_every_row(full: Store) -> None:
    report = full.verify()
    assert report.problems == []
    assert report.rows == 3 + 3 + 1 + 3 + 2
    assert report.head != GENESIS


def test_every_append_only_table_is_under_the_chain(full: Store) -> None:
    studies = {"account", "study", "review_score", "study_step", "adjudication"}
    assert set(CHAINED) == {*TABLES, *studies, "dataset_version", "learning"}


FIRST = "seq = (SELECT min(seq) FROM {table})"
TABLES = ["frame", "frame_name", "prediction", "correction", "model_version"]


@pytest.mark.parametrize("table", TABLES)
def test_a_changed_payload_is_found(full: Store, table: str) -> None:
    where = FIRST.format(table=table)
    (problem,) = tamper(full, f"UPDATE {table} SET payload = replace(payload, '\"', '\" ') WHERE {where}")
    assert problem.startswith(f"{table} ")
    assert "was changed" in problem


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("frame", "frame_id = '00000000000000000000000000000000'"),
        ("frame_name", "source_file = 'other.png'"),
        ("prediction", "model_version = 'better-model'"),
        ("prediction", "frame_id = 'x'"),
        ("correction", "reader = 'somebody else'"),
        ("correction", "is_truth = true"),
        ("correction", "skipped = true"),
        ("correction", "external_id = NULL"),
    ],
)
def test_a_changed_column_is_found_though_the_payload_was_left_alone(full: Store, table: str, change: str) -> None:
    (problem,) = tamper(full, f"UPDATE {table} SET {change} WHERE {FIRST.format(table=table)}")
    assert problem.startswith(f"{table} ")
    assert "was changed" in problem


@pytest.mark.parametrize("table", TABLES)
def test_a_removed_row_is_found(full: Store, table: str) -> None:
    (problem,) = tamper(full, f"DELETE FROM {table} WHERE {FIRST.format(table=table)}")
    assert "was removed" in problem


def test_an_inserted_row_is_found(full: Store) -> None:
    copied = "SELECT 'prd_forged', frame_id, model_version, payload FROM prediction LIMIT 1"
    (problem,) = tamper(full, f"INSERT INTO prediction (record_id, frame_id, model_version, payload) {copied}")
    assert problem == "prediction prd_forged was inserted outside the chain"


def test_a_moved_row_is_found(full: Store) -> None:
    last = "(SELECT max(seq) FROM prediction)"
    problems = tamper(full, f"UPDATE prediction SET seq = {last} + 1 WHERE {FIRST.format(table='prediction')}")
    assert any("was moved" in problem for problem in problems)


def test_two_rows_that_swapped_their_content_are_found(full: Store) -> None:
    last = "seq = (SELECT max(seq) FROM correction)"
    problems = tamper(
        full,
        f"UPDATE correction SET record_id = 'x' WHERE {FIRST.format(table='correction')}",
        f"UPDATE correction SET record_id = (SELECT record_id FROM audit WHERE kind = 'correction' "
        f"ORDER BY seq LIMIT 1) WHERE {last}",
    )
    assert problems


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET payload_sha256 = 'f00' WHERE seq = 4",
        "UPDATE audit SET record_id = 'x' WHERE seq = 4",
        "UPDATE audit SET kind = 'prediction' WHERE seq = 1",
        "UPDATE audit SET previous_hash = hash WHERE seq = 4",
        "UPDATE audit SET hash = 'f00' WHERE seq = 4",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit WHERE seq = 1",
        "UPDATE audit SET seq = 1000 WHERE seq = 4",
    ],
)
def test_a_broken_chain_is_found(full: Store, change: str) -> None:
    assert any("chain broken" in problem for problem in tamper(full, change))


def test_a_row_removed_together_with_its_link_is_found(full: Store) -> None:
    first = "(SELECT record_id FROM prediction ORDER BY seq LIMIT 1)"
    problems = tamper(
        full,
        f"DELETE FROM audit WHERE record_id = {first}",
        f"DELETE FROM prediction WHERE record_id = {first}",
    )
    assert any("chain broken" in problem for problem in problems)


def test_a_tail_cut_off_cleanly_shows_in_the_head(full: Store) -> None:
    before = full.verify()
    last = "(SELECT record_id FROM correction ORDER BY seq DESC LIMIT 1)"
    problems = tamper(
        full, f"DELETE FROM audit WHERE record_id = {last}", f"DELETE FROM correction WHERE record_id = {last}"
    )
    assert problems == []
    assert full.verify().head != before.head
    assert full.verify().rows == before.rows - 1


def test_payloads_are_the_records_as_json(full: Store, tmp_path: Path) -> None:
    engine = create_engine(full._url)
    with engine.connect() as connection:
        payload = connection.execute(text("SELECT payload FROM frame ORDER BY seq LIMIT 1")).scalar_one()
    engine.dispose()
    assert json.loads(payload)["source_file"] == "frame000.png"


def test_jobs_and_links_may_change_without_breaking_the_chain(full: Store) -> None:
    from annotator.store import Links

    Links(full).set_setting("project", 1)
    Links(full).set_setting("project", 2)
    assert full.verify().problems == []

"""The store: nothing is overwritten, the newest counts, many writers lose nothing, errors are one clear line."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.errors import StoreError
from annotator.frames import FrameFacts, make_frame
from annotator.store import Store
from tests.builders import a_correction, a_finding, a_frame, a_model, a_prediction, some_pixels
from tests.workers import CONTEXT, open_and_close, start, write_many


def add_prediction(store: Store, *predictions: object) -> None:
    with store.writing() as connection:
        store.add_predictions(connection, list(predictions))  # type: ignore[arg-type]


# Frames and their names


def test_a_frame_comes_back_as_it_went_in(store: Store) -> None:
    frame = a_frame(subject="017", site="Leuven", split="val", pixel_spacing_mm=(0.1, 0.2), simulated=True)
    assert store.add_frames([frame]) == 1
    assert store.frame(frame.frame_id) == frame
    assert list(store.frames()) == [frame]


def test_importing_the_same_frame_again_adds_nothing(store: Store) -> None:
    store.add_frames([a_frame()])
    assert store.add_frames([a_frame()]) == 0
    assert store.counts()["frames"] == 1
    assert store.names() == {a_frame().frame_id: ["frame.png"]}


def test_the_same_content_under_two_names_is_one_frame_and_both_names_are_kept(store: Store) -> None:
    store.add_frames([a_frame(name="first.png"), a_frame(name="second.png")])
    store.add_frames([a_frame(name="third.png", source="elsewhere")])
    (frame,) = store.frames()
    assert frame.source_file == "first.png"
    assert store.names() == {frame.frame_id: ["first.png", "second.png", "third.png"]}


def test_a_later_import_adds_facts_and_never_takes_any_away(store: Store) -> None:
    store.add_frames([a_frame(subject="017", source="hospital", split="train")])
    assert store.add_frames([a_frame(site="Leuven", split="val", source="archive")]) == 1
    (frame,) = store.frames()
    assert (frame.subject, frame.site, frame.split, frame.source) == ("017", "Leuven", "val", "hospital")


def test_a_frame_once_simulated_stays_simulated(store: Store) -> None:
    store.add_frames([a_frame(simulated=True)])
    store.add_frames([a_frame(simulated=False, subject="1")])
    (frame,) = store.frames()
    assert frame.simulated
    assert frame.subject == "1"


def test_frames_come_in_the_order_of_their_first_import(store: Store) -> None:
    frames = [a_frame(seed, f"{seed}.png") for seed in range(5)]
    store.add_frames(frames)
    store.add_frames([a_frame(1, "1.png", subject="later")])
    assert [frame.source_file for frame in store.frames()] == [f"{seed}.png" for seed in range(5)]


def test_frames_of_one_split_can_be_asked_for(store: Store) -> None:
    store.add_frames([a_frame(1, split="train"), a_frame(2, split="val"), a_frame(3)])
    assert [frame.frame_id for frame in store.frames("val")] == [a_frame(2).frame_id]


def test_thousands_of_frames_go_in_at_once(store: Store) -> None:
    pixels = [some_pixels(seed, (16, 16)) for seed in range(600)]
    frames = [make_frame(each, f"{seed}.png", FrameFacts()) for seed, each in enumerate(pixels)]
    assert store.add_frames(frames) == 600
    assert store.add_frames(frames) == 0
    assert len(store.names()) == 600


# Predictions


def test_the_newest_prediction_of_a_frame_counts_and_older_ones_stay(store: Store) -> None:
    frame = a_frame()
    older, newer = a_prediction(frame), a_prediction(frame)
    add_prediction(store, older)
    add_prediction(store, newer)
    assert list(store.newest_predictions()) == [newer]
    assert store.prediction(older.prediction_id) == older
    assert store.counts()["predictions"] == 2


def test_predictions_can_be_asked_for_by_model_version_backend_and_frame(store: Store) -> None:
    first, second = a_frame(1), a_frame(2)
    for model in (a_model("embedded-1"), a_model("fada-1", "fada"), a_model("embedded-2")):
        store.add_model_version(model)
    old = a_prediction(first, "embedded-1")
    new = a_prediction(first, "embedded-2")
    other = a_prediction(first, "fada-1")
    elsewhere = a_prediction(second, "fada-1")
    add_prediction(store, old, new, other, elsewhere)
    assert list(store.newest_predictions("embedded-1")) == [old]
    assert list(store.newest_predictions()) == [other, elsewhere]
    assert list(store.newest_predictions(frame_ids=[second.frame_id])) == [elsewhere]
    assert list(store.predictions_by(backend="embedded")) == [new]
    assert list(store.predictions_by()) == [other, elsewhere]


def test_predictions_of_very_many_frames_can_be_asked_for_at_once(store: Store) -> None:
    frame = a_frame()
    add_prediction(store, a_prediction(frame))
    many = [f"{number:032x}" for number in range(70_000)]
    found = store.newest_predictions(frame_ids=[*many, frame.frame_id])
    assert [item.frame_id for item in found] == [frame.frame_id]


def test_an_unknown_frame_or_prediction_is_none(store: Store) -> None:
    assert store.frame("0" * 32) is None
    assert store.prediction("prd_none") is None
    assert list(store.newest_predictions(frame_ids=[])) == []


def test_a_model_version_is_kept_once(store: Store) -> None:
    store.add_model_version(a_model())
    store.add_model_version(a_model())
    assert store.model_versions() == [a_model()]


def test_a_failed_transaction_leaves_nothing_behind(store: Store) -> None:
    prediction = a_prediction(a_frame())
    with pytest.raises(StoreError):
        add_prediction(
            store, a_prediction(a_frame(1)), prediction, prediction.model_copy(update={"plane": "Other"})
        )
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        store.add_predictions(connection, [prediction, 1 / 0])  # type: ignore[list-item]
    assert store.counts()["predictions"] == 0
    assert store.verify().problems == []


# Corrections


def test_the_newest_correction_of_a_reader_counts(store: Store) -> None:
    frame = a_frame()
    first, second = a_correction(frame), a_correction(frame)
    store.add_corrections([first])
    store.add_corrections([second])
    assert list(store.newest_corrections(is_truth=False)) == [second]
    assert store.counts()["corrections"] == 2


def test_of_several_readers_the_newest_that_was_not_skipped_counts(store: Store) -> None:
    frame = a_frame()
    anna, ben = a_correction(frame, "anna"), a_correction(frame, "ben", skipped=True, findings=())
    store.add_corrections([anna, ben])
    assert list(store.newest_corrections(is_truth=False)) == [anna]


def test_a_reader_who_skips_afterwards_takes_back_what_was_said(store: Store) -> None:
    frame = a_frame()
    store.add_corrections([a_correction(frame), a_correction(frame, skipped=True, findings=())])
    assert list(store.newest_corrections(is_truth=False)) == []


def test_the_reference_standard_and_the_readers_are_kept_apart(store: Store) -> None:
    frame = a_frame()
    truth, read = a_correction(frame, "reference", is_truth=True), a_correction(frame)
    store.add_corrections([truth, read])
    assert list(store.newest_corrections(is_truth=True)) == [truth]
    assert list(store.newest_corrections(is_truth=False)) == [read]
    assert (store.counts()["truths"], store.counts()["corrections"]) == (1, 1)


def test_an_annotation_pulled_twice_is_kept_once_and_its_update_is_kept_too(store: Store) -> None:
    frame = a_frame()
    pulled = {"external_id": "ls:7", "external_updated_at": "2026-01-01"}
    assert store.add_corrections([a_correction(frame, **pulled)]) == 1
    assert store.add_corrections([a_correction(frame, **pulled)]) == 0
    updated = a_correction(frame, external_id="ls:7", external_updated_at="2026-01-02")
    assert store.add_corrections([updated, a_correction(frame, **pulled)]) == 1
    assert list(store.newest_corrections(is_truth=False)) == [updated]


def test_the_same_annotation_twice_in_one_pull_is_kept_once(store: Store) -> None:
    twice = [a_correction(a_frame(), external_id="ls:7", external_updated_at="2026-01-01") for _ in range(2)]
    assert store.add_corrections(twice) == 1
    assert store.add_corrections([a_correction(a_frame()), a_correction(a_frame())]) == 2


def test_findings_keep_every_digit(store: Store) -> None:
    finding = a_finding(box_xyxy=(0.1, 0.2, 1 / 3, 0.7), score=1 / 7)
    store.add_corrections([a_correction(a_frame(), findings=(finding,), lead_time_s=12.345678901234567)])
    (read,) = store.newest_corrections(is_truth=False)
    assert read.findings == (finding,)
    assert read.lead_time_s == 12.345678901234567


# Notes on Label Studio


def test_links_settings_and_webhooks_are_kept(store: Store) -> None:
    from annotator.store import Links

    links = Links(store)
    links.link_tasks(3, {"f1": 10, "f2": 11})
    links.link_tasks(3, {"f2": 12})
    links.link_predictions(3, {100: "prd_1"})
    assert links.task_links(3) == {"f1": 10, "f2": 12}
    assert links.prediction_links(3) == {100: "prd_1"}
    assert links.task_links(4) == {}
    links.forget_project(3)
    assert (links.task_links(3), links.prediction_links(3)) == ({}, {})
    assert links.setting("project") is None
    links.set_setting("project", {"id": 3})
    links.set_setting("project", {"id": 4})
    assert links.setting("project") == {"id": 4}


def test_a_webhook_that_comes_twice_is_queued_once_and_worked_off_once(store: Store) -> None:
    from annotator.store import Links

    links = Links(store)
    assert links.receive_webhook("ANNOTATION_UPDATED", 7, "2026-01-01")
    assert not links.receive_webhook("ANNOTATION_UPDATED", 7, "2026-01-01")
    assert links.receive_webhook("ANNOTATION_UPDATED", 7, "2026-01-02")
    first, second = links.queued_webhooks()
    links.finish_webhook(first.seq)
    links.finish_webhook(second.seq, reason="the task is gone")
    assert links.queued_webhooks() == []


# Many processes


def test_two_processes_writing_at_once_lose_nothing(store: Store, tmp_path: Path, database_url: str | None) -> None:
    workers = [start(write_many, store.workspace, database_url, number, 25) for number in (1, 2)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    counts = store.counts()
    assert (counts["frames"], counts["predictions"], counts["corrections"]) == (50, 50, 50)
    report = store.verify()
    assert report.problems == []
    assert report.rows == 4 * 50


def test_verify_stays_clean_while_others_write(store: Store, database_url: str | None) -> None:
    worker = start(write_many, store.workspace, database_url, 1, 30)
    while worker.is_alive():
        assert store.verify().problems == []
    assert worker.exitcode == 0


def test_a_fresh_workspace_can_be_opened_by_several_at_the_same_moment(
    tmp_path: Path, database_url: str | None
) -> None:
    gate, errors = CONTEXT.Barrier(3), CONTEXT.Queue()
    workers = [start(open_and_close, tmp_path / "fresh", database_url, gate, errors) for _ in range(3)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert errors.empty()


# What cannot be opened


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    assert len(message) < 400
    return message


def workspace_is_a_file(folder: Path) -> Path:
    (folder / "taken").write_text("a letter")
    return folder / "taken"


def workspace_below_a_file(folder: Path) -> Path:
    return workspace_is_a_file(folder) / "workspace"


def database_is_text(folder: Path) -> Path:
    (folder / "annotator.db").write_text("Dear colleague, " * 100)
    return folder


def database_is_a_folder(folder: Path) -> Path:
    (folder / "annotator.db").mkdir()
    return folder


def database_was_cut_off(folder: Path) -> Path:
    Store(folder).close()
    content = (folder / "annotator.db").read_bytes()
    (folder / "annotator.db").write_bytes(content[:5000])
    for name in ("annotator.db-wal", "annotator.db-shm"):
        (folder / name).unlink(missing_ok=True)
    return folder


def database_of_revision(folder: Path, revision: str) -> Path:
    Store(folder).close()
    with sqlite3.connect(folder / "annotator.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    return folder


def database_of_the_future(folder: Path) -> Path:
    return database_of_revision(folder, "9999")


def database_of_an_unknown_revision(folder: Path) -> Path:
    return database_of_revision(folder, "0000abc")


def database_of_something_else(folder: Path) -> Path:
    with sqlite3.connect(folder / "annotator.db") as connection:
        connection.execute("CREATE TABLE frame (recipe TEXT)")
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (workspace_is_a_file, "cannot use the workspace"),
        (workspace_below_a_file, "cannot use the workspace"),
        (database_is_text, "not a database"),
        (database_is_a_folder, "unable to open"),
        (database_was_cut_off, "malformed"),
        (database_of_the_future, "newer than"),
        (database_of_an_unknown_revision, "0000abc"),
        (database_of_something_else, "already exists"),
    ],
)
def test_a_workspace_that_cannot_be_used_is_one_clear_line(make: object, says: str, tmp_path: Path) -> None:
    workspace = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(StoreError) as error:
        Store(workspace)
    assert says in one_line(error)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "mysql+nosuchdriver://u@h/d",
        "postgresql+psycopg://anna:secret@127.0.0.1:notaport/db",
        "postgresql+psycopg://anna:secret@127.0.0.1:1/db",
        "postgresql+psycopg://anna:se%cret@/db?host=/nonexistent",
    ],
)
def test_a_database_address_that_cannot_be_used_is_one_clear_line_without_the_password(
    url: str, tmp_path: Path
) -> None:
    if not url:
        Store(tmp_path, url).close()
        return
    with pytest.raises(StoreError) as error:
        Store(tmp_path, url)
    assert "cret@" not in one_line(error)
    assert "secret" not in one_line(error)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder in which we have no more rights than anybody, even where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        was = os.geteuid()
        if was == 0:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if was == 0:
                os.seteuid(0)
            folder.chmod(0o755)
            for path in folder.rglob("*"):
                path.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_one_clear_line(ordinary_user: Path) -> None:
    ordinary_user.chmod(0o555)
    if os.access(ordinary_user, os.W_OK, effective_ids=True):
        pytest.skip("this user may write everywhere")
    with pytest.raises(StoreError) as error:
        Store(ordinary_user / "workspace")
    assert "Permission denied" in one_line(error)


def test_a_workspace_that_became_read_only_is_one_clear_line(ordinary_user: Path) -> None:
    Store(ordinary_user / "workspace").close()
    (ordinary_user / "workspace" / "annotator.db").chmod(0o444)
    (ordinary_user / "workspace").chmod(0o555)
    if os.access(ordinary_user / "workspace", os.W_OK, effective_ids=True):
        pytest.skip("this user may write everywhere")
    with pytest.raises(StoreError) as error:
        Store(ordinary_user / "workspace").add_frames([a_frame()])
    one_line(error)

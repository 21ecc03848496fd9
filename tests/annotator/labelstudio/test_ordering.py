"""The real Label Studio: the next task of its label stream is the next one of the queue."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import connect, connected_project, open_client
from annotator.labelstudio.ordering import BY_ID, LOOK_AGAIN, push_queue, retire_queue, show_again
from annotator.labelstudio.pull import pull
from annotator.labelstudio.push import push
from annotator.schema import new_id
from annotator.store import Links, Store
from tests.builders import a_finding, a_model, a_prediction, keep_frames

pytestmark = pytest.mark.labelstudio

VERSION = "embedded-1a2b3c4d"


@pytest.fixture
def store(labelstudio_workspace: Path, tmp_path: Path) -> Iterator[Store]:
    opened = Store(labelstudio_workspace, f"sqlite:///{tmp_path / 'annotator.db'}")
    yield opened
    opened.close()


@pytest.fixture
def client(labelstudio_workspace: Path) -> Iterator[Client]:
    with open_client(labelstudio_workspace) as opened:
        yield opened


def pushed(store: Store, client: Client, title: str, count: int = 6, version: str = VERSION) -> list[str]:
    """A connected project of predicted frames; their ids in the order of their tasks."""
    frames = keep_frames(store, count)
    store.add_model_version(a_model(version))
    with store.writing() as connection:
        # Lower than the places in the queue, in another order: they must not decide.
        scores = [0.001 * (1 + (place * 5) % 7) for place in range(count)]
        said = [
            a_prediction(frame, version, findings=(a_finding("Brain", score=score),))
            for frame, score in zip(frames, scores, strict=True)
        ]
        store.add_predictions(connection, said)
    connect(store, client, title=title)
    push(store, client)
    return [frame.frame_id for frame in frames]


def next_task(store: Store, client: Client) -> dict[str, Any]:
    """What a reader gets who asks for the next task."""
    task: dict[str, Any] = client.get(f"/api/projects/{connected_project(store)}/next/")
    return task


def answer(client: Client, task: dict[str, Any], **more: Any) -> None:
    result = task["predictions"][0]["result"] if task["predictions"] else []
    row = task["predictions"][0]["id"] if task["predictions"] else None
    client.create_annotation(task["id"], {"result": result, "parent_prediction": row, "lead_time": 3.0, **more})


def test_the_next_task_is_the_first_of_the_queue_and_after_a_round_of_the_next_queue(
    store: Store, client: Client
) -> None:
    frames = pushed(store, client, "ordering")
    first = [frames[4], frames[1], frames[5]]
    report = push_queue(store, client, new_id("que"), first)
    assert (report.queued, report.refused, report.without_task) == (3, 0, [])
    served = []
    for _ in first:
        task = next_task(store, client)
        served.append(task["data"]["frame_id"])
        assert [row["model_version"].startswith(f"{VERSION} (queue ") for row in task["predictions"]] == [True]
        answer(client, task)
    assert served == first
    second = [frames[3], frames[0]]
    push_queue(store, client, new_id("que"), second)
    task = next_task(store, client)
    assert task["data"]["frame_id"] == second[0]
    answer(client, task)
    assert next_task(store, client)["data"]["frame_id"] == second[1]


def test_what_is_corrected_in_the_queue_comes_back_as_a_correction_of_the_prediction_it_shows(
    store: Store, client: Client
) -> None:
    frames = pushed(store, client, "ordering, back", 3)
    push_queue(store, client, new_id("que"), [frames[2]])
    answer(client, next_task(store, client))
    pull(store, client)
    (said,) = store.newest_of_readers()
    assert said.frame_id == frames[2]
    shown = store.prediction(said.prediction_id or "")
    assert shown is not None
    assert shown.model_version == VERSION
    assert list(said.changes.values()) == ["kept"]


def test_pushing_again_leaves_the_queue_and_counts_none_of_its_rows(store: Store, client: Client) -> None:
    frames = pushed(store, client, "ordering, again", 4)
    queue_id = new_id("que")
    push_queue(store, client, queue_id, [frames[3], frames[2]])
    push_queue(store, client, queue_id, [frames[3], frames[2]])  # as after a kill: nothing twice
    assert push(store, client).predictions_on_server == 4
    assert len(client.predictions(connected_project(store))) == 6
    assert next_task(store, client)["data"]["frame_id"] == frames[3]


def test_a_queue_that_was_worked_off_makes_way_for_the_plain_predictions(store: Store, client: Client) -> None:
    frames = pushed(store, client, "ordering, done", 4)
    push_queue(store, client, new_id("que"), [frames[2], frames[3]])
    answer(client, next_task(store, client))
    pull(store, client)
    assert not retire_queue(store, client)
    answer(client, next_task(store, client), was_cancelled=True)  # skipped is answered too
    pull(store, client)
    assert retire_queue(store, client)
    assert not retire_queue(store, client)
    project = client.get(f"/api/projects/{connected_project(store)}/")
    assert (project["model_version"], project["sampling"]) == (VERSION, BY_ID)
    task = next_task(store, client)
    assert task["data"]["frame_id"] == frames[0]
    assert [row["model_version"] for row in task["predictions"]] == [VERSION]


def test_frames_without_a_prediction_can_be_queued(store: Store, client: Client) -> None:
    frames = [frame.frame_id for frame in keep_frames(store, 3, first_seed=900)]
    connect(store, client, title="ordering, cold")
    push(store, client)
    report = push_queue(store, client, new_id("que"), [frames[1], "0" * 32])
    assert (report.queued, report.without_task) == (1, ["0" * 32])
    assert next_task(store, client)["data"]["frame_id"] == frames[1]


def test_labelled_frames_to_look_at_again_stand_in_a_tab_of_their_own(store: Store, client: Client) -> None:
    frames = pushed(store, client, "ordering, relabel", 4)
    tasks = Links(store).task_links(connected_project(store))
    assert show_again(store, client, [frames[0]]) == 1
    assert show_again(store, client, [frames[1], frames[3]]) == 2
    tabs = client.get("/api/dm/views/", params={"project": connected_project(store)})
    (tab,) = [tab for tab in tabs if tab["data"]["title"] == LOOK_AGAIN]
    listed = client.get("/api/tasks/", params={"view": tab["id"], "project": connected_project(store)})
    assert {task["id"] for task in listed["tasks"]} == {tasks[frames[1]], tasks[frames[3]]}

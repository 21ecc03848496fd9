"""The real Label Studio: what we rely on is so, and what we do to it can be repeated, interrupted and counted."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotator.errors import LabelStudioError
from annotator.labelstudio import credentials, process
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import BackendAddress, connect, connected_project, open_client
from annotator.labelstudio.pull import pull, pull_one
from annotator.labelstudio.push import push
from annotator.labelstudio.tasks import image_url
from annotator.schema import Change, Frame, Origin
from annotator.settings import read_settings
from annotator.store import Links, Store
from annotator.taxonomy import Group
from tests.annotator.labelstudio.shapes import SIZE_WH, predict_every_shape
from tests.builders import a_free_port, keep_frames

pytestmark = pytest.mark.labelstudio


@pytest.fixture
def store(labelstudio_workspace: Path, tmp_path: Path) -> Iterator[Store]:
    """A database of its own for each test, over the images that the server may serve."""
    opened = Store(labelstudio_workspace, f"sqlite:///{tmp_path / 'annotator.db'}")
    yield opened
    opened.close()


@pytest.fixture
def client(labelstudio_workspace: Path) -> Iterator[Client]:
    with open_client(labelstudio_workspace) as opened:
        yield opened


@pytest.fixture
def title(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:50]


def frames_without_pixels(store: Store, count: int) -> list[Frame]:
    frames = [
        Frame(
            frame_id=f"{random.getrandbits(128):032x}",
            width=SIZE_WH[0],
            height=SIZE_WH[1],
            source_file=f"{number}.png",
        )
        for number in range(count)
    ]
    store.add_frames(frames)
    return frames


def pushed(store: Store, client: Client, title: str, count: int = 3) -> tuple[int, list[int]]:
    """A connected project with `count` predicted frames; its id and those of its tasks."""
    predict_every_shape(store, frames_without_pixels(store, count))
    connect(store, client, title=title)
    push(store, client)
    project_id = connected_project(store)
    return project_id, sorted(Links(store).task_links(project_id).values())


def row_of(client: Client, project_id: int, task_id: int) -> dict[str, Any]:
    return next(row for row in client.predictions(project_id) if row["task"] == task_id)


def submit(client: Client, row: dict[str, Any], result: list[Any], **more: Any) -> int:
    annotation = {"result": result, "parent_prediction": row["id"], "lead_time": 5.0, **more}
    return int(client.create_annotation(row["task"], annotation)["id"])


def test_connecting_again_changes_nothing_and_makes_no_doubles(store: Store, client: Client, title: str) -> None:
    first = connect(store, client, title=title)
    again = connect(store, client, title=title)
    assert len(first.changes) == 2
    assert again.changes == []
    assert (again.project_id, again.storage_id) == (first.project_id, first.storage_id)
    Links(store).set_setting("labelstudio", None)  # the notes are lost: it is found by its title
    assert connect(store, client, title=title).project_id == first.project_id


def test_a_changed_interface_is_updated_though_there_are_predictions(
    store: Store, client: Client, title: str
) -> None:
    pushed(store, client, title)
    changed = connect(store, client, title=title, groups=[Group.BRAIN])
    assert changed.changes == ["labelling interface updated"]


def test_a_project_that_was_deleted_is_made_again(store: Store, client: Client, title: str) -> None:
    project_id, _ = pushed(store, client, title)
    with client.calling("the project"):
        client.sdk.projects.delete(project_id)
    connected = connect(store, client, title=title)
    assert connected.project_id != project_id
    report = push(store, client)
    assert (report.tasks_on_server, report.predictions_on_server) == (3, 3)


def test_a_thousand_predictions_go_in_bulk_and_pushing_again_leaves_a_thousand(
    store: Store, client: Client, title: str, record_property: Callable[[str, object], None]
) -> None:
    predict_every_shape(store, frames_without_pixels(store, 1000))
    connect(store, client, title=title)
    begun = time.monotonic()
    report = push(store, client)
    seconds = time.monotonic() - begun
    assert (report.tasks_on_server, report.predictions_on_server) == (1000, 1000)
    assert push(store, client).predictions_sent == 0
    project = client.get(f"/api/projects/{report.project_id}/")
    assert (project["task_number"], project["total_predictions_number"]) == (1000, 1000)
    record_property("seconds_for_1000_predictions", round(seconds, 1))


def test_predictions_come_back_from_the_server_number_by_number(store: Store, client: Client, title: str) -> None:
    from annotator.labelstudio.diff import result_to_findings

    project_id, _ = pushed(store, client, title, 1)
    (row,) = client.predictions(project_id)
    (prediction,) = store.newest_predictions()
    frame = store.frame(prediction.frame_id)
    assert frame is not None
    findings, plane, issues = result_to_findings(row["result"], frame, prediction)
    assert issues == []
    assert [one.model_copy(update={"parent_finding_id": None}) for one in findings] == list(prediction.findings)
    assert plane == "Trans-thalamic"
    assert row["score"] == prediction.score == 0.6


def test_kept_changed_deleted_added_and_skipped_come_in(store: Store, client: Client, title: str) -> None:
    project_id, (first, second, third) = pushed(store, client, title)
    row = row_of(client, project_id, first)
    box = next(region for region in row["result"] if region["id"].endswith(every_id(store, first, "CSP")))
    moved = {**box, "value": {**box["value"], "x": 50.0}, "origin": "prediction-changed"}
    new = {**box, "id": "AbCdEfGhIj", "origin": "manual", "value": {**box["value"], "rectanglelabels": ["NT"]}}
    new.pop("score", None)
    kept = [region for region in row["result"] if region["from_name"] not in ("box", "mask")]
    submit(client, row, [*kept, moved, new])
    submit(client, row_of(client, project_id, second), row_of(client, project_id, second)["result"])
    submit(client, row_of(client, project_id, third), [], was_cancelled=True)
    report = pull(store, client)
    assert report.problems == []
    assert {str(change): count for change, count in report.regions.items()} == {
        "kept": 2 + 5,
        "changed": 1,
        "deleted": 2,
        "added": 1,
    }
    assert (report.corrections_new, report.skipped) == (3, 1)
    readers = {correction.reader for correction in store.newest_corrections(is_truth=False)}
    assert readers == {credentials.USERNAME}
    assert pull(store, client).corrections_new == 0


def every_id(store: Store, task_id: int, structure: str) -> str:
    frame_of = {value: key for key, value in Links(store).task_links(connected_project(store)).items()}
    (prediction,) = store.newest_predictions(frame_ids=[frame_of[task_id]])
    return next(finding.finding_id for finding in prediction.findings if finding.structure == structure)


def test_create_annotations_from_predictions_is_noticed_and_keeps_everything(
    store: Store, client: Client, title: str
) -> None:
    project_id, _ = pushed(store, client, title)
    body = {"selectedItems": {"all": True, "excluded": []}, "project": project_id}
    client.post(f"/api/dm/actions/?id=predictions_to_annotations&project={project_id}", body)
    report = pull(store, client)
    assert (report.corrections_new, report.regions[Change.KEPT]) == (3, 15)
    origins = {one.origin for item in store.newest_corrections(is_truth=False) for one in item.findings}
    assert origins == {Origin.PREDICTION}


def test_edits_and_deletions_on_the_server_are_noticed(store: Store, client: Client, title: str) -> None:
    project_id, (first, *_) = pushed(store, client, title)
    row = row_of(client, project_id, first)
    annotation = submit(client, row, row["result"])
    pull(store, client)
    client.patch(f"/api/annotations/{annotation}/", {"result": row["result"][:1]})
    assert pull(store, client).regions[Change.DELETED] == 4
    with client.calling("the annotation"):
        client.sdk.annotations.delete(annotation)
    assert pull(store, client).deleted_on_server == [str(annotation)]
    assert store.counts()["corrections"] == 2


def test_an_annotation_named_by_a_webhook_and_the_next_pull_are_the_same(
    store: Store, client: Client, title: str
) -> None:
    project_id, (first, *_) = pushed(store, client, title)
    row = row_of(client, project_id, first)
    assert pull_one(store, client, submit(client, row, row["result"])).corrections_new == 1
    assert pull(store, client).corrections_new == 0


def test_images_are_served_to_those_who_are_logged_in_and_to_nobody_else(
    store: Store, client: Client, title: str, labelstudio_workspace: Path
) -> None:
    (frame,) = keep_frames(store, 1, first_seed=77)
    connect(store, client, title=title)
    push(store, client)
    url = f"{client.url}{image_url(frame.frame_id)}"
    token = credentials.load(labelstudio_workspace).token
    served = httpx.get(url, headers={"Authorization": f"Token {token}"}, trust_env=False)
    assert served.content == store.image_path(frame.frame_id).read_bytes()
    assert httpx.get(url, trust_env=False).status_code in (401, 302, 403)


def test_the_credentials_of_another_workspace_are_refused_in_one_line(client: Client) -> None:
    with Client(client.url, "0" * 40) as stranger, pytest.raises(LabelStudioError, match="refuses this workspace"):
        stranger.whoami()


def test_a_server_that_was_stopped_is_told_and_after_a_restart_all_goes_on(
    store: Store, client: Client, title: str, labelstudio_workspace: Path
) -> None:
    pushed(store, client, title)
    port = process.status(labelstudio_workspace).port
    process.stop(labelstudio_workspace)
    try:
        with pytest.raises(
            LabelStudioError, match=r"is not answering .*; start it with `annotator labelstudio start`"
        ):
            push(store, client)
        with pytest.raises(LabelStudioError, match="is not answering"):
            pull(store, client)
    finally:
        process.start(labelstudio_workspace, read_settings().labelstudio_env, port, lambda line: None)
    assert push(store, client).predictions_on_server == 3


class RecordingBackend:
    """The ML-backend protocol at its plainest; `calls` notes path and login."""

    def __init__(self) -> None:
        calls: list[tuple[str, str | None]] = []
        self.calls = calls

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"status": "UP"})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                calls.append((self.path, self.headers.get("Authorization")))
                self.answer({"model_version": "embedded-1"})

            def answer(self, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_the_ml_backend_is_added_once_with_its_password_also_for_the_webhook(
    store: Store, client: Client, title: str
) -> None:
    project_id, (first, *_) = pushed(store, client, title)
    backend = RecordingBackend()
    address = BackendAddress(backend.url, "annotator", "s3cret")
    made = connect(store, client, title=title, backend=address)
    again = connect(store, client, title=title, backend=address)
    assert made.backend_id == again.backend_id
    assert again.changes == []
    row = row_of(client, project_id, first)
    submit(client, row, row["result"])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and "/webhook" not in {path for path, _ in backend.calls}:
        time.sleep(0.1)
    assert ("/webhook", "Basic YW5ub3RhdG9yOnMzY3JldA==") in backend.calls
    assert {login for _, login in backend.calls} == {"Basic YW5ub3RhdG9yOnMzY3JldA=="}
    push(store, client)
    assert client.get(f"/api/projects/{project_id}/")["model_version"] == "embedded-1"
    backend.server.shutdown()


def test_a_backend_that_does_not_answer_leaves_no_row_behind(store: Store, client: Client, title: str) -> None:
    gone = BackendAddress(f"http://127.0.0.1:{a_free_port()}", "annotator", "s3cret")
    for _ in range(2):
        with pytest.raises(LabelStudioError, match="is `annotator serve` running"):
            connect(store, client, title=title, backend=gone)
    project = {"project": connected_project(store)}
    assert client.get("/api/ml/", params=project) == client.get("/api/webhooks/", params=project) == []
    backend = RecordingBackend()
    connect(store, client, title=title, backend=BackendAddress(backend.url, "annotator", "s3cret"))
    assert len(client.get("/api/ml/", params=project)) == 1
    moved = RecordingBackend()
    connect(store, client, title=title, backend=BackendAddress(moved.url, "annotator", "s3cret"))
    assert [row["url"] for row in client.get("/api/ml/", params=project)] == [moved.url]
    assert [hook["url"] for hook in client.get("/api/webhooks/", params=project)] == [f"{moved.url}/webhook"]
    backend.server.shutdown()
    moved.server.shutdown()


PULLING = """
import sys
from pathlib import Path
from annotator.labelstudio import pull as pulling
from annotator.labelstudio.connect import open_client
from annotator.store import Store
pulling.BATCH = 5
store = Store(Path(sys.argv[1]), sys.argv[2])
with open_client(store.workspace) as client:
    pulling.pull(store, client, progress=lambda what, done, total: print(done, flush=True))
"""


def test_a_pull_killed_ten_times_loses_nothing_and_doubles_nothing(
    store: Store, client: Client, title: str, labelstudio_workspace: Path, tmp_path: Path
) -> None:
    project_id, tasks = pushed(store, client, title, 60)
    body = {"selectedItems": {"all": True, "excluded": []}, "project": project_id}
    client.post(f"/api/dm/actions/?id=predictions_to_annotations&project={project_id}", body)
    command = [sys.executable, "-c", PULLING, str(labelstudio_workspace), f"sqlite:///{tmp_path / 'annotator.db'}"]
    for number in range(10):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
        ) as run:
            assert run.stdout is not None
            run.stdout.readline()  # a batch is in
            time.sleep(number * 0.004)
            run.send_signal(signal.SIGKILL)
    pull(store, client)
    corrected = [correction.frame_id for correction in store.newest_corrections(is_truth=False)]
    assert (len(corrected), len(set(corrected)), store.counts()["corrections"]) == (60, 60, 60)
    assert store.verify().problems == []
    assert len(tasks) == 60

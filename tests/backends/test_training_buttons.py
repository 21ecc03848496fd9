"""Who may ask for a training over HTTP, and what the status page shows of it."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from annotator.commands.inspecting import status_document
from annotator.commands.training_desk import TrainingDesk
from annotator.commands.training_jobs import ASKED, NOTE
from annotator.learning import TrainingState
from annotator.store import Links, Store
from annotator.store.learning import finish_training, next_training, note_progress, training_run, training_runs
from backends.answering import Answers
from backends.server import create_app
from backends.status_page import render_status
from tests.builders import ScriptedBackend
from tests.trainings import corrected_frames, queued

LOGIN = ("annotator", "secret")
OURS = "http://testserver"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def serve(store: Store, *, login: Any = LOGIN, backend: str = "embedded") -> TestClient:
    answers = Answers(store, ScriptedBackend(), limit_s=20.0)
    app = create_app(
        answers,
        Links(store),
        username=LOGIN[0],
        password=LOGIN[1],
        status=lambda: status_document(store),
        status_page=lambda: render_status(status_document(store), "v1", answers.refused),
        chores=[],
        trainings=TrainingDesk(store, backend),
    )
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.auth = login
    return client


def page(client: TestClient) -> str:
    return client.get("/status", headers={"accept": "text/html"}).text


def test_a_flood_of_start_training_from_label_studio_is_one_wish_and_answered_at_once(store: Store) -> None:
    client = serve(store)
    answers = [client.post("/webhook", json={"action": "START_TRAINING", "project": {}}) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["queued"] for answer in answers] == [1] + [0] * 29
    assert Links(store).setting(ASKED)["asked_by"] == "Label Studio"
    assert training_runs(store) == []
    assert "A training was asked for" in page(client)


def test_a_model_that_is_not_trained_here_says_so_on_the_page(store: Store) -> None:
    client = serve(store, backend="remote")
    client.post("/webhook", json={"action": "START_TRAINING"})
    assert Links(store).setting(ASKED) is None
    assert "the remote model is not trained here" in page(client)


def test_the_buttons_ask_for_a_training_and_cancel_one(store: Store) -> None:
    client = serve(store)
    asked = client.post("/train", headers={"origin": OURS, "sec-fetch-site": "same-origin"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/status")
    assert Links(store).setting(ASKED)["asked_by"] == "status page"
    corrected_frames(store, 8)
    run = queued(store)
    cancelled = client.post("/train/cancel", data={"run_id": run.run_id}, headers={"origin": OURS})
    assert cancelled.status_code == 303
    assert training_run(store, run.run_id).state is TrainingState.CANCELLED
    again = client.post("/train/cancel", data={"run_id": run.run_id}, headers={"origin": OURS})
    assert (again.status_code, again.json()["detail"]) == (409, f"training {run.run_id} is cancelled already")
    assert client.post("/train/cancel", content=b"\xff" * 9000).status_code == 409


@pytest.mark.parametrize("path", ["/train", "/train/cancel"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "http://testserver:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": OURS, "sec-fetch-site": "cross-site"},
    ],
    ids=["foreign", "hidden", "alike", "other port", "cross-site", "same-site", "contradicting"],
)
def test_forms_on_foreign_pages_are_refused_though_the_browser_sends_the_password(
    store: Store, path: str, headers: dict[str, str]
) -> None:
    assert serve(store).post(path, headers=headers).status_code == 403
    assert Links(store).setting(ASKED) is None


@pytest.mark.parametrize("path", ["/train", "/train/cancel"])
def test_the_buttons_need_the_password_and_a_post(store: Store, path: str) -> None:
    assert serve(store, login=None).post(path).status_code == 401
    assert serve(store, login=("annotator", "wrong")).post(path).status_code == 401
    assert serve(store).get(path).status_code == 405


def test_the_page_shows_state_bar_message_and_log_and_escapes_what_came_from_outside(store: Store) -> None:
    corrected_frames(store, 8)
    run = queued(store)
    next_training(store)
    note_progress(store, run.run_id, 3, 12, "teaching <b>heads</b>")
    log = store.workspace / "logs" / f"train-{run.run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"x" * 10_000 + b"\nlast <line> \xff\n")
    Links(store).set_setting(NOTE, {"text": "3 more <i>needed</i>"})
    shown = page(serve(store))
    assert '<progress max="12" value="3">' in shown
    assert "teaching &lt;b&gt;heads&lt;/b&gt;" in shown
    assert "last &lt;line&gt; \ufffd" in shown
    assert "x" * 5000 not in shown
    assert "3 more &lt;i&gt;needed&lt;/i&gt;" in shown
    assert f'name="run_id" value="{run.run_id}"' in shown
    finish_training(store, run.run_id, TrainingState.FAILED, "the disk is full")
    ended = page(serve(store))
    assert "the disk is full" in ended
    assert "/train/cancel" not in ended

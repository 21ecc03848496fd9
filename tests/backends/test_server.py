"""The ML backend as Label Studio meets it: real HTTP requests, a real store, a scripted model."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from annotator import jobs
from annotator.errors import BackendError
from annotator.labelstudio.tasks import image_url
from annotator.schema import Finding, Frame, LoadedFrame, Prompt
from annotator.store import Links, Store
from backends.answering import Answers
from backends.server import create_app
from backends.status_page import render_status
from tests.builders import ScriptedBackend, a_finding, a_prediction, keep_frames

LOGIN = ("annotator", "secret")


class PromptedBackend(ScriptedBackend):
    """Answers a smart tool with the box that it was given, or with the point's surroundings."""

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        if prompt.box_xyxy is not None:
            return [a_finding(prompt.structure, prompt.box_xyxy, score=0.9)]
        x, y = prompt.points[-1].x, prompt.points[-1].y
        return [a_finding(prompt.structure, (x - 2, y - 2, x + 2, y + 2), score=0.8)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def serve(
    store: Store, model: ScriptedBackend | None = None, *, limit_s: float = 20.0, login: Any = LOGIN
) -> TestClient:
    answers = Answers(store, model or PromptedBackend(), limit_s=limit_s)
    counts = {"frames": 0, "predictions": 0, "corrections": 0, "truths": 0, "model_versions": 0}
    document = {**counts, "jobs": []}
    app = create_app(
        answers,
        Links(store),
        username=LOGIN[0],
        password=LOGIN[1],
        status=lambda: document,
        status_page=lambda: render_status(document, "<script>", answers.refused),
        chores=[],
    )
    client = TestClient(app, raise_server_exceptions=False)
    client.auth = login
    return client


def a_task(frame: Frame, number: int = 1) -> dict[str, Any]:
    return {"id": number, "data": {"image": image_url(frame.frame_id)}, "annotations": [], "predictions": []}


def ask(client: TestClient, tasks: Any, context: Any = None) -> list[dict[str, Any]]:
    body = {"tasks": tasks, "project": "1.1", "params": {"login": None, "password": None, "context": context}}
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_health_needs_no_password_and_setup_tells_the_version_that_predict_stamps(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    client = serve(store)
    assert serve(store, login=None).get("/health").json()["status"] == "UP"
    version = client.post("/setup", json={"project": "1.1", "schema": "<View/>"}).json()["model_version"]
    assert version
    assert ask(client, [a_task(frame)])[0]["model_version"] == version
    assert client.get("/versions").json() == {"versions": [version]}


@pytest.mark.parametrize("login", [None, ("annotator", "wrong"), ("", ""), ("annotätor", "sécret")])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/predict"), ("POST", "/setup"), ("POST", "/webhook"), ("GET", "/status")]
)
def test_everything_else_asks_for_the_password(store: Store, login: Any, method: str, path: str) -> None:
    answer = serve(store, login=login).request(method, path, json={})
    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_a_known_frame_is_answered_from_the_store_without_the_model(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    model = PromptedBackend()
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frame, model.model.name)])
    (answer,) = ask(serve(store, model), [a_task(frame)])
    assert len(answer["result"]) == 1
    assert answer["score"] == 0.5
    assert model.asked == []


def test_an_unseen_frame_is_asked_once_and_then_comes_from_the_store(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    model = PromptedBackend()
    client = serve(store, model)
    first, second = ask(client, [a_task(frame)]), ask(client, [a_task(frame)])
    assert first == second
    assert len(model.asked) == 1
    assert store.counts()["predictions"] == 1


def test_a_frame_shown_by_two_tasks_of_one_request_is_asked_once(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    model = PromptedBackend()
    assert len(ask(serve(store, model), [a_task(frame, 1), a_task(frame, 2)])) == 2
    assert len(model.asked) == 1


def test_what_there_is_no_time_for_is_queued_and_answered_empty(store: Store) -> None:
    frames = keep_frames(store, 3)
    answers = ask(serve(store, limit_s=0.0), [a_task(frame) for frame in frames])
    assert [answer["result"] for answer in answers] == [[], [], []]
    (report,) = jobs.newest_jobs(store)
    assert report.counts["queued"] == 3


HOSTILE_TASKS = [
    pytest.param({"id": 1, "data": {"image": "/data/local-files/?d=images/../../annotator.db"}}, id="climbs out"),
    pytest.param(
        {"id": 1, "data": {"image": "http://evil.example/images/aa/" + "a" * 32 + ".png"}}, id="other host"
    ),
    pytest.param({"id": 1, "data": {"image": "file:///etc/passwd"}}, id="file url"),
    pytest.param({"id": 1, "data": {"image": image_url("0" * 32)}}, id="unknown frame"),
    pytest.param({"id": 1, "data": {"frame_id": 7, "image": None}}, id="wrong types"),
    pytest.param({"id": 1, "data": None}, id="no data"),
    pytest.param({"id": 1}, id="data missing"),
    pytest.param(None, id="null task"),
    pytest.param("task", id="text task"),
    pytest.param([], id="list task"),
]


@pytest.mark.parametrize("task", HOSTILE_TASKS)
def test_a_task_that_cannot_be_answered_gets_a_valid_empty_result_and_stops_no_other(
    store: Store, task: Any
) -> None:
    (frame,) = keep_frames(store, 1)
    bad, good = ask(serve(store), [task, a_task(frame)])
    assert bad["result"] == []
    assert bad["score"] == 0.0
    assert isinstance(bad["model_version"], str)
    assert len(good["result"]) == 1


@pytest.mark.parametrize("tasks", [[], None, "x", {}])
def test_no_tasks_get_no_results(store: Store, tasks: Any) -> None:
    assert ask(serve(store), tasks) == []


def test_a_model_that_fails_on_a_frame_answers_empty_and_goes_on(store: Store) -> None:
    frames = keep_frames(store, 2)

    def answer(batch: Any) -> Any:
        if batch[0].frame == frames[0]:
            raise BackendError("out of memory")
        return [a_prediction(one.frame, "scripted-1") for one in batch]

    client = serve(store, PromptedBackend(answer))
    bad, good = ask(client, [a_task(frame) for frame in frames])
    assert (len(bad["result"]), len(good["result"])) == (0, 1)
    page = client.get("/status", headers={"accept": "text/html"}).text
    assert "out of memory" in page
    assert "<script>" not in page


def a_click(x: float, y: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 0.2, "keypointlabels": ["Brain"]}
    return {
        "id": "k",
        "type": "keypointlabels",
        "from_name": "prompt_point",
        "to_name": "image",
        "original_width": 32,
        "original_height": 24,
        "value": value,
        **more,
    }


def test_a_smart_keypoint_is_answered_by_the_model_at_that_point(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    older = a_click(1, 1)
    (answer,) = ask(serve(store), [a_task(frame)], {"result": [older, a_click(50, 50, is_positive=True)]})
    (region,) = answer["result"]
    assert region["value"]["x"] == pytest.approx(100 * 14 / 32)
    assert region["id"].startswith("fada-")


@pytest.mark.parametrize("context", [{"result": []}, {}, {"result": None}, {"result": [1, None]}, {"result": "x"}])
def test_a_context_without_a_prompt_gets_one_empty_answer(store: Store, context: Any) -> None:
    (frame,) = keep_frames(store, 1)
    (answer,) = ask(serve(store), [a_task(frame)], context)
    assert answer["result"] == []


def test_a_ten_megabyte_request_with_a_thousand_tasks_is_answered_in_full(store: Store) -> None:
    frames = keep_frames(store, 4)
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frame, "scripted-1") for frame in frames])
    padding = "x" * 10_000
    tasks = [{**a_task(frames[number % 4], number), "meta": padding} for number in range(1000)]
    answers = ask(serve(store), tasks)
    assert len(answers) == 1000
    assert all(answer["result"] for answer in answers)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"tasks": NaN}'])
def test_a_body_that_is_no_json_object_is_refused_in_json(store: Store, body: bytes) -> None:
    answer = serve(store).post("/predict", content=body)
    assert answer.status_code == 400
    assert "detail" in answer.json()


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/predict"), ("POST", "/train")])
def test_unknown_routes_answer_in_json(store: Store, method: str, path: str) -> None:
    answer = serve(store).request(method, path)
    assert answer.status_code in (404, 405)
    assert "detail" in answer.json()


def webhook(action: str = "ANNOTATION_CREATED", **more: Any) -> dict[str, Any]:
    annotation = {"id": 15, "updated_at": "2026-01-01T00:00:00Z", "result": [], "task": 1}
    return {"action": action, "annotation": annotation, "project": {"id": 1, "token": "invite"}, **more}


def test_a_webhook_is_noted_once_however_often_it_comes(store: Store) -> None:
    client = serve(store)
    answers = [client.post("/webhook", json=webhook()).json()["queued"] for _ in range(3)]
    later = webhook(annotation={"id": 15, "updated_at": "2026-01-02T00:00:00Z"})
    assert answers == [1, 0, 0]
    assert client.post("/webhook", json=later).json()["queued"] == 1
    assert [event.annotation_id for event in Links(store).queued_webhooks()] == [15, 15]


@pytest.mark.parametrize(
    ("body", "queued"),
    [
        (webhook("ANNOTATIONS_CREATED", annotation=[{"id": 1}, {"id": 2}], task=[{}, {}]), 2),
        ({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 2}]}, 1),
        (webhook("PROJECT_UPDATED"), 0),
        ({"action": "START_TRAINING"}, 0),
        ({"action": "ANNOTATION_CREATED", "annotation": {"id": "1; drop"}}, 0),
        ({"action": "ANNOTATION_CREATED"}, 0),
        ({}, 0),
        ({"action": ["x"], "annotation": None}, 0),
    ],
)
def test_every_kind_of_event_is_answered(store: Store, body: dict[str, Any], queued: int) -> None:
    answer = serve(store).post("/webhook", json=body)
    assert answer.status_code == 200
    assert answer.json()["queued"] == queued


def test_webhook_and_health_are_answered_while_the_model_is_busy(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    asked, released = threading.Event(), threading.Event()

    def blocked(batch: Any) -> Any:
        asked.set()
        assert released.wait(30)
        return [a_prediction(one.frame, "scripted-1") for one in batch]

    with serve(store, PromptedBackend(blocked)) as client:
        thread = threading.Thread(target=ask, args=(client, [a_task(frame)]))
        thread.start()
        assert asked.wait(30)
        assert client.post("/webhook", json=webhook()).status_code == 200
        assert client.get("/health").status_code == 200
        released.set()
        thread.join()

"""The circle through a real Label Studio: corrected and trained from there, promoted, served, predicted again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from annotator.commands.backend_login import backend_login
from annotator.commands.demo import wait_until_up
from annotator.commands.looping_steps import predict_and_push
from annotator.commands.promoting import promote
from annotator.commands.queueing import make_queue, push_to_labelstudio
from annotator.commands.workspace import opened
from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import ellipse_to_box_xyxy, ellipse_to_mask, mask_to_rle
from annotator.labelstudio.connect import BackendAddress, Connected, connect, open_client
from annotator.learning import TrainingRun, TrainingState
from annotator.phantom import simulate_frame
from annotator.schema import Correction, Finding, Frame
from annotator.settings import read_settings
from annotator.store import Store
from annotator.store.learning import training_runs
from tests.builders import a_free_port

pytestmark = pytest.mark.labelstudio

PLANE = "Trans-thalamic"
TO_CORRECT, HELD_BACK = 4, 10
# A training of two steps that changes next to nothing, and margins under which that is promoted for certain.
LESSONS = {"batch": 2, "least_per_epoch": 1, "most_per_epoch": 2}
TRAINING = {"epochs": 1, "simulated": 1, "learning_rate": 1e-6, **LESSONS}
ENVIRONMENT = {
    "ANNOTATOR_TRAINING": json.dumps(TRAINING),
    "ANNOTATOR_LEAST_CORRECTIONS": str(TO_CORRECT),
    "ANNOTATOR_THREADS": "1",
    **{f"ANNOTATOR_MARGIN_{name}": "1" for name in ("DICE", "DETECTION", "PLANE")},
}
LIMIT_S = 600.0  # a busy machine

Found = TypeVar("Found")


@dataclass(frozen=True)
class Running:
    """A workspace whose Label Studio and ML backend really run."""

    store: Store
    connected: Connected
    url: str


@pytest.fixture
def running(labelstudio_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    database, port = f"sqlite:///{tmp_path / 'annotator.db'}", a_free_port()
    for name, value in {**ENVIRONMENT, "ANNOTATOR_DATABASE_URL": database}.items():
        monkeypatch.setenv(name, value)
    store = Store(labelstudio_workspace, database)
    fill(store)
    command = [sys.executable, "-m", "annotator.cli", "--workspace", str(labelstudio_workspace), "serve"]
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen([*command, "--port", str(port)], env=dict(os.environ), stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_up(server, url, tmp_path / "serve.log")
            login = backend_login(labelstudio_workspace)
            with open_client(labelstudio_workspace) as client:
                address = BackendAddress(url, login.username, login.password)
                yield Running(store, connect(store, client, title="the loop", backend=address), url)
        finally:
            server.terminate()
            server.wait(30)
            store.close()


def fill(store: Store) -> None:
    """Heads to correct, and others that are held back, with their outlines as the reference standard."""
    frames, truths = [], []
    for seed in range(TO_CORRECT + HELD_BACK):
        phantom = simulate_frame(PLANE, seed=seed, size_wh=(400, 276))
        split = "train" if seed < TO_CORRECT else "test"
        facts = FrameFacts(subject=f"s{seed}", split=split, source="phantoms")
        frame = make_frame(phantom.pixels, f"{seed}.png", facts)
        save_pixels(phantom.pixels, store.image_path(frame.frame_id))
        frames.append(frame)
        if split == "test" and phantom.head is not None:
            head = phantom.head
            mask = mask_to_rle(ellipse_to_mask(head, frame.size_wh))
            box = ellipse_to_box_xyxy(head)
            finding = Finding(structure="Brain", box_xyxy=box, ellipse=head, mask_rle=mask)
            truths.append(
                Correction(frame_id=frame.frame_id, reader="truth", is_truth=True, findings=(finding,), plane=PLANE)
            )
    store.add_frames(frames)
    store.add_corrections(truths)


def wait_for(what: str, look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come")


def correct_in_labelstudio(running: Running, frames: list[Frame]) -> None:
    """The reader takes what is queued, task after task, moves the head and submits."""
    with open_client(running.store.workspace) as client:
        for _ in frames:
            task = client.get(f"/api/projects/{running.connected.project_id}/next/")
            shown: list[dict[str, Any]] = task["predictions"][0]["result"] if task["predictions"] else []
            result = [moved(region) for region in shown if region["type"] != "choices"]
            plane = {"id": "pL4nE0aBcD", "from_name": "plane", "to_name": "image", "type": "choices"}
            result.append({**plane, "value": {"choices": [PLANE]}})
            parent = task["predictions"][0]["id"] if task["predictions"] else None
            client.create_annotation(task["id"], {"result": result, "parent_prediction": parent, "lead_time": 4.0})


def moved(region: dict[str, Any]) -> dict[str, Any]:
    if region["type"] != "ellipselabels":
        return region
    value = region["value"]
    return {**region, "origin": "prediction-changed", "value": {**value, "x": value["x"] + 1.0}}


def version_served(running: Running) -> str:
    login = backend_login(running.store.workspace)
    answer = httpx.post(f"{running.url}/setup", json={}, auth=(login.username, login.password), timeout=30)
    return str(answer.json()["model_version"])


def done_training(store: Store) -> TrainingRun | None:
    runs = training_runs(store)
    ended = [run for run in runs if run.state not in (TrainingState.QUEUED, TrainingState.RUNNING)]
    return ended[0] if ended else None


def test_corrected_there_and_trained_from_there_a_new_version_serves_and_the_old_predictions_stay(
    running: Running,
) -> None:
    store, settings = running.store, read_settings()
    old = version_served(running)
    predict_and_push(store, settings, "embedded")
    queue, _ = make_queue(store, settings, size=TO_CORRECT)
    push_to_labelstudio(store, queue)
    frames = [frame for frame in store.frames() if frame.split == "train"]
    assert {one.frame_id for one in queue.picks} == {frame.frame_id for frame in frames}
    correct_in_labelstudio(running, frames)

    with open_client(store.workspace) as client:
        for _ in range(5):  # a flood is one training
            client.start_training(running.connected.backend_id or 0)
    run = wait_for("the training", lambda: done_training(store))
    assert (run.state, run.message.partition(" ")[0]) == (TrainingState.DONE, "made")
    assert run.spec.asked_by == "Label Studio"
    assert run.spec.new_corrections == TO_CORRECT
    assert len(training_runs(store)) == 1
    assert version_served(running) == old  # what is trained is not yet promoted

    assert promote(store.workspace, run.model_version or "").document["decision"] == "promoted"
    new = wait_for("the new version", lambda: served if (served := version_served(running)) != old else None)
    assert new == run.model_version
    predict_and_push(store, settings, "embedded")
    by_version = {name: list(store.newest_predictions(name)) for name in (old, new)}
    assert {name: len(said) for name, said in by_version.items()} == dict.fromkeys(
        (old, new), TO_CORRECT + HELD_BACK
    )
    with open_client(store.workspace) as client:
        rows = client.predictions(running.connected.project_id)
        project = client.get(f"/api/projects/{running.connected.project_id}/")
    tasks = {name: {row["task"] for row in rows if row["model_version"] == name} for name in (old, new)}
    assert len(tasks[old]) == len(tasks[new]) == TO_CORRECT + HELD_BACK
    assert project["model_version"] == new
    with opened(store.workspace) as again:
        assert again.verify().problems == []

"""A server follows promotions without a restart: real models in processes of their own, asked over HTTP."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from annotator.commands import serving
from annotator.commands.following import Follower
from annotator.commands.inspecting import status_document
from annotator.commands.models import chosen, serving_choice
from annotator.commands.promoting import rollback
from annotator.errors import BackendError, InputError
from annotator.labelstudio.tasks import image_url
from annotator.learning import Decision, model_folder
from annotator.schema import Frame
from annotator.settings import read_settings
from annotator.store import Links, Store
from backends.answering import Answers
from backends.server import create_app
from backends.serving_model import ServingModel
from backends.status_page import render_status
from backends.worker import Worker
from tests import versions
from tests.backends.test_serving_model import Named

LOGIN = ("annotator", "secret")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


class Starter:
    """Starts scripted models; `fails` holds the versions that cannot be loaded, `started` those that were."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.fails: set[str] = set()

    def __call__(self, choice: Any) -> Any:
        name = choice.version.name if choice.version else "release"
        self.started.append(name)
        if name in self.fails:
            raise BackendError(f"{name} cannot be loaded")
        return Named(name)


@pytest.fixture
def starter() -> Starter:
    return Starter()


def followed(store: Store, starter: Starter) -> tuple[Follower, ServingModel]:
    follower = Follower(store, chosen({"backend": "embedded"}), starter)
    first: Any = follower.first()
    return follower, ServingModel(first, first.close)


def test_a_server_starts_with_what_was_promoted_and_stays_while_nothing_is_decided(
    store: Store, starter: Starter
) -> None:
    versions.a_version(store, "v1")
    versions.promoted(store, "v1")
    follower, model = followed(store, starter)
    follower.follow(model)
    versions.promoted(store, "v1", Decision.KEPT)
    follower.follow(model)
    assert starter.started == ["v1"]
    assert model.model.name == "v1"


def test_a_promotion_and_a_rollback_are_followed(store: Store, starter: Starter) -> None:
    follower, model = followed(store, starter)
    served = [model.model.name]
    versions.a_version(store, "v1")
    versions.promoted(store, "v1")
    follower.follow(model)
    served.append(model.model.name)
    rollback(store.workspace)
    follower.follow(model)
    served.append(model.model.name)
    assert served == ["release", "v1", "release"]
    assert starter.started == served


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving_and_is_tried_once(
    store: Store, starter: Starter, is_deleted: bool
) -> None:
    follower, model = followed(store, starter)
    versions.a_version(store, "v1")
    if is_deleted:
        model_folder(store.workspace, "v1").rmdir()
    starter.fails = {"v1"}
    versions.promoted(store, "v1")
    for _ in range(3):
        follower.follow(model)
    assert model.model.name == "release"
    assert starter.started.count("v1") == (0 if is_deleted else 1)
    assert follower.note.startswith("v1 does not serve, release does: ")
    assert "\n" not in follower.note
    versions.a_version(store, "v2")
    versions.promoted(store, "v2")
    follower.follow(model)
    assert (model.model.name, follower.note) == ("v2", "")


def test_going_back_to_what_serves_still_needs_no_loading(store: Store, starter: Starter) -> None:
    follower, model = followed(store, starter)
    versions.a_version(store, "v1")
    starter.fails = {"v1"}
    versions.promoted(store, "v1")
    follower.follow(model)
    rollback(store.workspace)
    follower.follow(model)
    assert starter.started == ["release", "v1"]
    assert follower.note == ""


def test_a_model_that_was_asked_for_by_name_is_not_exchanged(store: Store, starter: Starter) -> None:
    versions.a_version(store, "v1")
    versions.promoted(store, "v1")
    choice = chosen({"backend": "embedded", "model": "some/folder"})
    assert serving_choice(store, choice) is choice
    follower = Follower(store, choice, starter)
    first: Any = follower.first()
    model = ServingModel(first)
    versions.promoted(store, None, Decision.ROLLED_BACK)
    follower.follow(model)
    assert starter.started == ["release"]


def test_a_server_does_not_start_on_a_version_that_has_lost_its_files(store: Store, starter: Starter) -> None:
    versions.a_version(store, "v1")
    versions.promoted(store, "v1")
    model_folder(store.workspace, "v1").rmdir()
    with pytest.raises(InputError, match="annotator models rollback --backend embedded"):
        Follower(store, chosen({"backend": "embedded"}), starter).first()


def test_a_fada_version_is_its_base_with_its_adapter(store: Store) -> None:
    versions.a_version(store, "fada-1", backend="fada", base="some/base")
    choice = chosen({"backend": "fada"})
    assert serving_choice(store, choice) is choice
    promotion = versions.promoted(store, "fada-1", backend="fada")
    assert promotion.backend == "fada"
    found = serving_choice(store, choice)
    assert (found.model, found.adapter) == ("some/base", str(model_folder(store.workspace, "fada-1")))
    assert serving_choice(store, chosen({"backend": "embedded"})).model is None


def a_task(frame: Frame) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image_url(frame.frame_id)}, "annotations": [], "predictions": []}


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def start(choice: Any) -> Worker:
    return serving._start(choice, read_settings())


def an_app(store: Store, model: ServingModel, follower: Follower) -> FastAPI:
    answers = Answers(store, model, limit_s=60)
    return create_app(
        answers,
        Links(store),
        username=LOGIN[0],
        password=LOGIN[1],
        status=dict,
        status_page=lambda: render_status(
            status_document(store), answers.model_version, answers.refused, follower.note
        ),
        chores=[lambda: follower.follow(model)],
    )


def test_a_running_server_serves_what_is_promoted_goes_back_and_survives_a_deleted_version(store: Store) -> None:
    frames = versions.held_back_phantoms(store, 2)
    noisy, gone = versions.noisy(store), versions.equal(store)
    follower, workspace = Follower(store, chosen({"backend": "embedded"}), start), store.workspace
    with serving._working(follower) as model, TestClient(an_app(store, model, follower)) as client:
        client.auth = LOGIN

        def version() -> str:
            return str(client.post("/setup", json={"project": "1.1"}).json()["model_version"])

        def predicted() -> list[str]:
            answer = client.post("/predict", json={"tasks": [a_task(frame) for frame in frames], "params": {}})
            return [one["model_version"] for one in answer.json()["results"]]

        release = version()
        assert predicted() == [release, release]
        old = list(store.newest_predictions(release))

        versions.promoted(store, noisy.name)
        eventually(lambda: version() == noisy.name)
        assert client.get("/health").json()["model_class"] == noisy.name
        assert predicted() == [noisy.name, noisy.name]
        assert client.get("/versions").json() == {"versions": [release, noisy.name]}

        shutil.rmtree(model_folder(workspace, gone.name))
        versions.promoted(store, gone.name)
        eventually(lambda: follower.note != "")
        assert predicted() == [noisy.name, noisy.name]
        page = client.get("/status", headers={"accept": "text/html"}).text
        assert f"{gone.name} does not serve, {noisy.name} does" in page

        rollback(workspace)
        rollback(workspace)
        eventually(lambda: version() == release)
        assert list(store.newest_predictions(release)) == old
        assert client.get("/versions").json() == {"versions": [noisy.name, release]}

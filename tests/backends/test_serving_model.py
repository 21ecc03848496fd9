"""A model that is exchanged while it serves: nobody's request is lost, mixed or answered by a closed model."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from annotator.schema import LoadedFrame, Prediction
from annotator.store import Store
from backends.answering import Answers
from backends.serving_model import ServingModel, serving
from tests.backends.test_server import a_task
from tests.builders import ScriptedBackend, a_frame, a_model, a_prediction, keep_frames, some_pixels


class Named(ScriptedBackend):
    """A scripted model of some version, which waits for `gate` before it answers, where it has one."""

    def __init__(self, version: str, gate: threading.Event | None = None) -> None:
        super().__init__(self._speak)
        self.model = a_model(version, "scripted")
        self.is_asked, self.is_closed = threading.Event(), threading.Event()
        self._gate = gate

    def _speak(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        assert not self.is_closed.is_set()
        self.is_asked.set()
        if self._gate is not None:
            assert self._gate.wait(30)
        assert not self.is_closed.is_set()
        return [a_prediction(one.frame, self.model.name) for one in batch]

    def close(self) -> None:
        self.is_closed.set()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def loaded() -> LoadedFrame:
    return LoadedFrame(a_frame(), some_pixels())


def holding(model: Named) -> ServingModel:
    return ServingModel(model, model.close)


def test_requests_go_to_the_new_model_from_the_swap_on_and_the_old_one_is_closed() -> None:
    old, new = Named("v1"), Named("v2")
    model = holding(old)
    assert model.predict([loaded()])[0].model_version == "v1"
    model.swap(new, new.close)
    assert (model.name, model.model.name) == ("scripted", "v2")
    assert model.predict([loaded()])[0].model_version == "v2"
    assert model.look_for(loaded(), ["CSP"], []).asked_for == {"detect": ("CSP",), "segment": ()}
    assert old.is_closed.is_set()
    assert not new.is_closed.is_set()
    model.close()
    assert new.is_closed.is_set()


def test_a_request_in_flight_is_finished_by_the_model_that_it_began_with() -> None:
    gate = threading.Event()
    old, new = Named("v1", gate), Named("v2")
    model, answers = holding(old), list[Prediction]()
    thread = threading.Thread(target=lambda: answers.extend(model.predict([loaded()])))
    thread.start()
    assert old.is_asked.wait(30)
    model.swap(new, new.close)
    assert not old.is_closed.is_set()
    assert model.predict([loaded()])[0].model_version == "v2"  # nobody waits for the old one
    gate.set()
    thread.join()
    assert [one.model_version for one in answers] == ["v1"]
    assert old.is_closed.is_set()


def test_a_model_is_closed_only_when_the_last_of_its_users_is_done() -> None:
    old, new = Named("v1"), Named("v2")
    model = holding(old)
    with model.pinned(), model.pinned() as held:
        model.swap(new, new.close)
        assert held.model.name == "v1"
        assert not old.is_closed.is_set()
    assert old.is_closed.is_set()


def test_a_model_that_fails_in_flight_is_let_go_of_too() -> None:
    old, new = Named("v1"), Named("v2")
    model = holding(old)

    def ask() -> None:
        with model.pinned():
            model.swap(new, new.close)
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        ask()
    assert old.is_closed.is_set()


def test_many_swaps_under_many_requests_answer_every_one_by_an_open_model() -> None:
    models = [Named(f"v{number}") for number in range(30)]
    model, failed, is_over = holding(models[0]), list[Exception](), threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                model.predict([loaded()])
            except Exception as error:  # an assertion in another thread fails no test by itself
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for following in models[1:]:
        model.swap(following, following.close)
    is_over.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [one.is_closed.is_set() for one in models] == [True] * 29 + [False]


def test_what_can_be_exchanged_already_is_not_wrapped_again() -> None:
    model = holding(Named("v1"))
    assert serving(model) is model
    assert serving(Named("v2")).model.name == "v2"


def test_all_answers_of_one_request_are_of_one_version_and_the_next_request_is_of_the_new_one(store: Store) -> None:
    frames = keep_frames(store, 3)
    gate = threading.Event()
    old, new = Named("v1", gate), Named("v2")
    model = holding(old)
    answers = Answers(store, model, limit_s=30)
    got: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: got.extend(answers.predict([a_task(one) for one in frames], None)))
    thread.start()
    assert old.is_asked.wait(30)
    model.swap(new, new.close)
    gate.set()
    thread.join()
    assert [one["model_version"] for one in got] == ["v1"] * 3
    assert answers.model_version == "v2"
    assert [one["model_version"] for one in answers.predict([a_task(one) for one in frames], None)] == ["v2"] * 3
    assert {one.name for one in store.model_versions()} == {"v1", "v2"}
    assert len(list(store.newest_predictions("v1"))) == len(list(store.newest_predictions("v2"))) == 3


def test_a_frame_that_the_new_version_saw_before_is_answered_from_the_store(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frame, "v2", findings=())])
    old, new = Named("v1"), Named("v2")
    model = holding(old)
    answers = Answers(store, model, limit_s=30)
    assert answers.predict([a_task(frame)], None)[0]["result"]
    model.swap(new, new.close)
    assert answers.predict([a_task(frame)], None) == [{"result": [], "score": 0.0, "model_version": "v2"}]
    assert new.asked == []


def test_the_versions_are_all_that_spoke_and_the_one_that_serves_is_the_last(store: Store) -> None:
    frames = keep_frames(store, 2)
    with store.writing() as connection:
        for version in ("v2", "v1", "v1+guided", "v3"):
            store.add_predictions(connection, [a_prediction(frame, version) for frame in frames])
    answers = Answers(store, Named("v1"), limit_s=30)
    assert answers.versions() == ["v2", "v3", "v1"]
    assert Answers(store, Named("v9"), limit_s=30).versions() == ["v2", "v1", "v3", "v9"]

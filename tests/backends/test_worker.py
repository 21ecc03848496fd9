"""A model in a process of its own: it may fail, die or hang without taking the server with it."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from annotator.errors import BackendError
from annotator.schema import LoadedFrame, Prediction, Prompt
from backends.worker import Worker
from tests.builders import ScriptedBackend, a_frame, a_prediction, some_pixels


def _answer(batch: Sequence[LoadedFrame]) -> list[Prediction]:
    name = batch[0].frame.source_file
    if name == "dies.png":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hangs.png":
        time.sleep(60)
    if name == "fails.png":
        raise ValueError("no such tensor")
    return [a_prediction(one.frame, "scripted-1", raw_texts={"pid": str(os.getpid())}) for one in batch]


def make_backend() -> ScriptedBackend:
    return ScriptedBackend(_answer)


def make_nothing() -> ScriptedBackend:
    raise OSError("weights are missing")


def make_from(weights: Path) -> ScriptedBackend:
    return make_backend() if weights.exists() else make_nothing()


def loaded(name: str) -> LoadedFrame:
    return LoadedFrame(a_frame(name=name), some_pixels())


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    started = Worker(make_backend, limit_s=2.0)
    yield started
    started.close()


def test_a_worker_answers_from_another_process(worker: Worker) -> None:
    (prediction,) = worker.predict([loaded("good.png")])
    assert int(prediction.raw_texts["pid"]) != os.getpid()
    assert worker.prompt(loaded("good.png"), Prompt(structure="Brain")) == []
    assert (worker.name, worker.model.name) == ("scripted", "scripted-1")


@pytest.mark.parametrize(
    ("name", "words"), [("fails.png", "no such tensor"), ("dies.png", "died"), ("hangs.png", "longer than 2 s")]
)
def test_a_request_that_ends_badly_says_why_and_the_next_one_is_answered(
    worker: Worker, name: str, words: str
) -> None:
    with pytest.raises(BackendError, match=words):
        worker.predict([loaded(name)])
    deadline = time.monotonic() + 20
    while True:  # the new process needs a moment to start
        try:
            assert worker.predict([loaded("good.png")])
            return
        except BackendError:
            assert time.monotonic() < deadline


def test_a_model_that_cannot_be_loaded_is_an_error_at_once() -> None:
    with pytest.raises(BackendError, match="the model cannot be loaded: OSError: weights are missing"):
        Worker(make_nothing, limit_s=2.0)


def test_a_model_that_dies_after_its_files_were_deleted_says_so_to_every_request(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.touch()
    worker = Worker(partial(make_from, weights), limit_s=30.0)
    weights.unlink()
    assert worker.predict([loaded("good.png")])
    with pytest.raises(BackendError, match="died"):
        worker.predict([loaded("dies.png")])
    for _ in range(2):
        with pytest.raises(BackendError, match="weights are missing"):
            worker.predict([loaded("good.png")])
    worker.close()

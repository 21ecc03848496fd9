"""A model in a process of its own: it may fail, die or hang without taking the server with it."""

import os
import signal
import time
from collections.abc import Iterator, Sequence

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
    with pytest.raises(BackendError):
        Worker(make_nothing, limit_s=2.0)

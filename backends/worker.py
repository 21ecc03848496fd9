"""A model in a process of its own, so that the process that serves pages never waits for a tensor.

The worker process owns the model; requests queue to it. One that dies or hangs is replaced, and the request that it
died on fails with a reason. A Worker is itself a Backend, so jobs and servers use it like a model at hand.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from annotator.errors import AnnotatorError, BackendError
from annotator.schema import Backend, Finding, LoadedFrame, ModelVersion, Prediction, Prompt

Answer = TypeVar("Answer")

LOAD_LIMIT_S = 120.0
_model: Backend | None = None
_failure = ""


def _load(factory: Callable[[], Backend]) -> None:
    """Load the model; why that failed is kept and told to whoever asks, so that a process need not die of it."""
    global _model, _failure
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _model = factory()
    except Exception as error:  # whatever the model's code raises
        _failure = str(error) if isinstance(error, AnnotatorError) else f"{type(error).__name__}: {error}"


def _loaded() -> Backend:
    if _model is None:
        raise BackendError(f"the model cannot be loaded: {_failure}")
    return _model


def _end_with_parent() -> None:
    """A killed parent closes nothing; without this its worker would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _describe() -> tuple[str, ModelVersion]:
    model = _loaded()
    return model.name, model.model


def _predict(batch: Sequence[LoadedFrame]) -> list[Prediction]:
    return _loaded().predict(batch)


def _look_for(loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
    return _loaded().look_for(loaded, detect, segment)


def _prompt(loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
    return _loaded().prompt(loaded, prompt)


class _Process:
    """A process; `ready` is done once the model is loaded there, or once it is known why it cannot be."""

    def __init__(self, factory: Callable[[], Backend]) -> None:
        context = get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_load, initargs=(factory,))
        self.started = time.monotonic()
        self.ready = self.pool.submit(_describe)

    def wait(self, limit_s: float) -> None:
        """Wait until the model is loaded; one that is still being loaded is left in peace."""
        try:
            self.ready.result(limit_s)
        except FutureTimeoutError:
            if time.monotonic() - self.started < LOAD_LIMIT_S:
                raise BackendError("the model is still being loaded; ask again in a moment") from None
            raise

    def end(self) -> None:
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()


class Worker:
    """A Backend that runs in another process; `factory` makes the model there and must be importable."""

    def __init__(self, factory: Callable[[], Backend], *, limit_s: float) -> None:
        """Start the process and wait until the model is loaded; BackendError where it cannot be."""
        self._factory = factory
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._process = _Process(factory)
        try:
            self.name, self.model = self._ask(_describe, limit_s=LOAD_LIMIT_S)
        except BackendError:
            self.close()
            raise

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        """Ask for a batch; BackendError where the model fails, dies or takes longer than allowed."""
        return self._ask(_predict, list(batch))

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        """Ask for what a person chose; BackendError as above."""
        return self._ask(_look_for, loaded, list(detect), list(segment))

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        """Ask what a prompt points at; BackendError as above."""
        return self._ask(_prompt, loaded, prompt)

    def close(self) -> None:
        """End the process."""
        self._process.end()

    def _ask(self, question: Callable[..., Answer], *arguments: Any, limit_s: float | None = None) -> Answer:
        with self._lock:
            process = self._process
        try:
            process.wait(limit_s or self._limit_s)
            future: Future[Answer] = process.pool.submit(question, *arguments)
            return future.result(limit_s or self._limit_s)
        except BrokenProcessPool as error:
            self._replace(process)
            raise BackendError("the model's process died; it was started again") from error
        except FutureTimeoutError as error:
            self._replace(process)
            raise BackendError(
                f"the model took longer than {limit_s or self._limit_s:.0f} s; it was started again"
            ) from error
        except AnnotatorError:
            raise
        except Exception as error:  # whatever the model raised in its process arrives here
            raise BackendError(f"{type(error).__name__}: {error}") from error

    def _replace(self, broken: _Process) -> None:
        with self._lock:
            if self._process is broken:
                self._process = _Process(self._factory)
        broken.end()

"""A model in a process of its own, so that the process that serves pages never waits for a tensor.

The worker process owns the model; requests queue to it. One that dies or hangs is replaced, and the request that it
died on fails with a reason. A Worker is itself a Backend, so jobs and servers use it like a model at hand.
"""

import os
import threading
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


def _load(factory: Callable[[], Backend]) -> None:
    global _model
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _model = factory()


def _end_with_parent() -> None:
    """A killed parent closes nothing; without this its worker would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _describe() -> tuple[str, ModelVersion]:
    assert _model is not None
    return _model.name, _model.model


def _predict(batch: Sequence[LoadedFrame]) -> list[Prediction]:
    assert _model is not None
    return _model.predict(batch)


def _look_for(loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
    assert _model is not None
    return _model.look_for(loaded, detect, segment)


def _prompt(loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
    assert _model is not None
    return _model.prompt(loaded, prompt)


class Worker:
    """A Backend that runs in another process; `factory` makes the model there and must be importable."""

    def __init__(self, factory: Callable[[], Backend], *, limit_s: float) -> None:
        """Start the process and wait until the model is loaded; BackendError where it cannot be."""
        self._factory = factory
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self.name, self.model = self._ask(_describe, limit_s=LOAD_LIMIT_S)

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
        self._end(self._pool)

    def _new_pool(self) -> ProcessPoolExecutor:
        context = get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=_load, initargs=(self._factory,))

    def _ask(self, question: Callable[..., Answer], *arguments: Any, limit_s: float | None = None) -> Answer:
        with self._lock:
            pool = self._pool
        try:
            future: Future[Answer] = pool.submit(question, *arguments)
            return future.result(limit_s or self._limit_s)
        except BrokenProcessPool as error:
            self._replace(pool)
            raise BackendError("the model's process died; it was started again") from error
        except FutureTimeoutError as error:
            self._replace(pool)
            raise BackendError(
                f"the model took longer than {limit_s or self._limit_s:.0f} s; it was started again"
            ) from error
        except AnnotatorError:
            raise
        except Exception as error:  # whatever the model raised in its process arrives here
            raise BackendError(f"{type(error).__name__}: {error}") from error

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = self._new_pool()
        self._end(broken)

    @staticmethod
    def _end(pool: ProcessPoolExecutor) -> None:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()

"""A model under questions in a process of its own: its memory is its own, and when it dies nothing else does."""

import os
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from annotator.errors import AnnotatorError, BackendError
from annotator.schema import LoadedFrame
from backends.asking.inquiries import Facts, Inquiry, Said
from backends.opening import BackendChoice

if TYPE_CHECKING:
    from backends.asking.examinee import Examinee

Answer = TypeVar("Answer")
_examinee: "Examinee | None" = None


class TookTooLongError(BackendError):
    """No answer came within the limit; the process was ended."""


class DiedError(BackendError):
    """The process ended by itself, most often because the system had no memory left."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that the process held: resident MiB, and MiB on the accelerator where one was used."""

    memory_mib: int
    accelerator_mib: int | None = None


class ExamineeWorker:
    """An Examinee in another process, loaded when asked to; `close` ends it."""

    def __init__(self, choice: BackendChoice, *, threads: int, sentence: str, limit_s: float) -> None:
        """Remember what to load; nothing is started yet. `limit_s` bounds the questions about one frame."""
        self._arguments = (choice, threads, sentence)
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None

    def open(self) -> Facts:
        """Start the process and load the model; AnnotatorError says why it cannot be."""
        self.close()
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        return self._ask(_load, *self._arguments, limit_s=None)

    def ask(self, loaded: LoadedFrame, inquiries: Sequence[tuple[str, Inquiry]]) -> list[Said]:
        """Ask about one frame; TookTooLongError or DiedError where the process is gone after it.

        Where it went so the last time, the model is opened again first.
        """
        if self._pool is None:
            self.open()
        return self._ask(_put, loaded, list(inquiries), limit_s=self._limit_s)

    def peak(self) -> Peak | None:
        """Return the peak of memory so far; None where the process is gone."""
        try:
            return self._ask(_peak, limit_s=30.0) if self._pool is not None else None
        except AnnotatorError:
            return None

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)  # at once, for nothing is left to wait for

    def _ask(self, function: Callable[..., Answer], *arguments: Any, limit_s: float | None) -> Answer:
        assert self._pool is not None
        try:
            return self._pool.submit(function, *arguments).result(limit_s)
        except BrokenProcessPool:
            self.close()
            raise DiedError("the model's process died; most often the system had no memory left") from None
        except FutureTimeoutError:
            self.close()
            raise TookTooLongError(f"the model took longer than {limit_s:.0f} s for one frame") from None
        except AnnotatorError:
            raise
        except Exception as error:  # whatever a model's own code raised arrives here
            said = " ".join(str(error).split())[:300]
            raise BackendError(f"{type(error).__name__}: {said}") from error


def _begin() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes nothing; without this its worker would wait for questions for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _load(choice: BackendChoice, threads: int, sentence: str) -> Facts:
    from backends.asking.examinee import Examinee  # here, so that only the process of the model loads its libraries

    global _examinee
    _examinee = Examinee(choice, threads=threads, sentence=sentence)
    return _examinee.facts


def _put(loaded: LoadedFrame, inquiries: Sequence[tuple[str, Inquiry]]) -> list[Said]:
    assert _examinee is not None
    return _examinee.ask(loaded, inquiries)


def _peak() -> Peak:
    import torch

    accelerator = round(torch.cuda.max_memory_allocated() / 2**20) if torch.cuda.is_available() else None
    return Peak(_resident_mib(), accelerator)


def _resident_mib() -> int:
    """The high-water mark of this program image.

    Linux's `ru_maxrss` survives exec and so holds that of the process which started this one; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))

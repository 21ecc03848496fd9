"""DICOM files and videos, decoded in a process of their own that may crash, hang or run out of memory alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.errors import FrameError
from annotator.frames.finding import Kind
from annotator.frames.reports import Decoded, Limits, SourceFacts


@dataclass
class _Process:
    popen: "subprocess.Popen[bytes]"
    requests: Connection
    answers: Connection

    def end(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self.requests.close()
        self.answers.close()


class Decoder:
    """Decodes one file after another; a context manager, since a process stands behind it.

    Nothing of a file reaches the calling process but its `SourceFacts` and pictures.
    """

    def __init__(self, pseudonyms: Pseudonyms, limits: Limits | None = None) -> None:
        self._pseudonyms, self._limits = pseudonyms, limits or Limits()
        self._process: _Process | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def read(self, path: Path, kind: Kind) -> Iterator[SourceFacts | Decoded]:
        """Yield the file's facts, then its pictures in order; FrameError, under a name fit to show, says why not.

        Ends early if the caller stops asking; that costs a new process for the next file.
        """
        name = self.shown_name(path, kind)
        finished = False
        try:
            self._ask(path, kind)
            for answer in self._answered(name):
                if isinstance(answer, SourceFacts):
                    name = answer.name
                yield answer
            finished = True
        except FrameError as error:
            finished = True  # the process is fine, or gone already
            raise FrameError(name, error.reason) from None
        finally:
            if not finished:
                self._stop()

    def shown_name(self, path: Path, kind: Kind) -> str:
        """Return what a file is called where its own name may hold a patient's."""
        return self._pseudonyms.file(str(path)) if kind == Kind.DICOM else path.name

    def _ask(self, path: Path, kind: Kind) -> None:
        if self._process is None or self._process.popen.poll() is not None:
            self._stop()
            self._process = _start(self._limits.memory_bytes)
        request = {
            "path": str(path.absolute()),
            "kind": kind,
            "key": self._pseudonyms.key.hex(),
            "site": self._pseudonyms.site,
            "limits": asdict(self._limits),
        }
        self._process.requests.send_bytes(json.dumps(request).encode())

    def _answered(self, name: str) -> Iterator[SourceFacts | Decoded]:
        while True:
            answer = json.loads(self._received(name))
            if "facts" in answer:
                yield _facts_from(answer["facts"])
            elif "frame" in answer:
                header = answer["frame"]
                pixels = np.frombuffer(self._received(name), np.uint8).reshape(header["shape"])
                yield Decoded(header["number"], header["time_s"], pixels)
            elif "error" in answer:
                raise FrameError(name, answer["error"])
            else:
                return

    def _received(self, name: str) -> bytes:
        assert self._process is not None
        try:
            if self._process.answers.poll(self._limits.seconds_per_frame):
                return self._process.answers.recv_bytes()
            reason = f"decoding it took longer than {self._limits.seconds_per_frame:g} s"
        except (EOFError, OSError):
            reason = "the decoder crashed or ran out of memory on it"
        self._stop()
        raise FrameError(name, reason)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


def _start(memory_bytes: int) -> _Process:
    asked, requests = os.pipe()
    answers, answered = os.pipe()
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread's stack counts as memory
    try:
        popen = subprocess.Popen(
            [sys.executable, "-m", "annotator.frames.worker", str(asked), str(answered), str(memory_bytes)],
            pass_fds=(asked, answered),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads},
        )
    finally:
        with suppress(OSError):
            os.close(asked)
            os.close(answered)
    return _Process(popen, Connection(requests, readable=False), Connection(answers, writable=False))


def _facts_from(values: dict[str, Any]) -> SourceFacts:
    spacing = values.pop("pixel_spacing_mm")
    return SourceFacts(**values, pixel_spacing_mm=tuple(spacing) if spacing else None)

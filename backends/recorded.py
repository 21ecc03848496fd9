"""Answers kept in a file and given again: tests and reviews run on them without the model.

A file of answers has one JSON object a line: `frame` (hash of the pixels as given), `phase`, `prompt`, `text`,
`finish`, `tokens` (start, stop, log-probability, removed mass; or null), `seconds`, `error`, `retries`, and
`model`, the version that said it. Of equal questions the last answer counts.
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from annotator.errors import InputError
from annotator.frames import frame_id_of
from annotator.schema import ModelVersion, Record
from backends.engine import Answer, Engine, Finish, Handle, Phase, Question, TokenScore

log = logging.getLogger(__name__)
_Key = tuple[str, Phase, str]


class RecordedAnswer(Record):
    """One line of a file of answers."""

    frame: str
    phase: Phase
    prompt: str
    text: str
    finish: Finish
    tokens: tuple[tuple[int, int, float | None, float], ...] | None = None
    seconds: float = 0.0
    error: str | None = None
    retries: int = 0
    model: str = ""

    @classmethod
    def of(cls, frame_id: str, question: Question, answer: Answer, model: str) -> "RecordedAnswer":
        """Put together what is kept of an answer."""
        tokens = None
        if answer.tokens is not None:
            tokens = tuple((t.start, t.stop, t.log_probability, t.removed_mass) for t in answer.tokens)
        return cls(
            frame=frame_id,
            phase=question.phase,
            prompt=question.prompt,
            text=answer.text,
            finish=answer.finish,
            tokens=tokens,
            seconds=answer.seconds,
            error=answer.error,
            retries=answer.retries,
            model=model,
        )

    def answer(self) -> Answer:
        """Return the answer as it was given."""
        tokens = None if self.tokens is None else tuple(TokenScore(*token) for token in self.tokens)
        return Answer(self.text, self.finish, self.seconds, tokens, self.error, self.retries)


@dataclass(frozen=True)
class RecordedFrame(Generic[Handle]):
    """An open frame: the hash of its pixels, and the handle of the engine that is recorded."""

    frame_id: str
    inner: Handle


class RecordedEngine:
    """An Engine that answers from a file; what the file does not hold is answered by an error that names it."""

    def __init__(self, path: Path) -> None:
        """Read `path`; InputError names the line that is no recorded answer."""
        content = _read(path)
        self._path = path
        self._answers: dict[_Key, Answer] = {}
        models = set()
        for line in _lines(path, content):
            self._answers[line.frame, line.phase, line.prompt] = line.answer()
            models.add(line.model or "unknown")
        digest = hashlib.sha256(content).hexdigest()
        base = ", ".join(sorted(models)) or "nothing"
        self.model = ModelVersion(
            name=f"recorded-{digest[:12]}", backend="recorded", base=base, content_hash=digest
        )
        self.provenance: Mapping[str, str | int | float | None] = {"engine": "recorded", "recorded_from": base}

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[RecordedFrame[None]]:
        """Hash frames, (H, W) or (H, W, 3)."""
        return [RecordedFrame(frame_id_of(one), None) for one in pixels]

    def ask(self, questions: Sequence[tuple[RecordedFrame[None], Question]]) -> list[Answer]:
        """Look the answers up."""
        return [self._answer(frame.frame_id, question) for frame, question in questions]

    def close(self, handle: RecordedFrame[None]) -> None:
        """Nothing is held."""

    def _answer(self, frame_id: str, question: Question) -> Answer:
        known = self._answers.get((frame_id, question.phase, question.prompt))
        if known is not None:
            return known
        asked = f"{question.phase} question {question.prompt[:60]!r} about frame {frame_id}"
        return Answer("", Finish.ERROR, 0.0, error=f"{self._path.name} holds no answer to the {asked}")


class RecordingEngine(Generic[Handle]):
    """An Engine that passes everything on to another and appends each answer to a file before it returns it."""

    def __init__(self, engine: Engine[Handle], path: Path) -> None:
        """Record what `engine` says in `path`, behind what is there; an unfinished last line is removed."""
        self.model = engine.model
        self._engine, self._path = engine, path
        self.provenance = engine.provenance
        _finish_last_line(path)

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[RecordedFrame[Handle]]:
        """Open frames, and hash them."""
        handles = self._engine.open(pixels)
        return [RecordedFrame(frame_id_of(one), inner) for one, inner in zip(pixels, handles, strict=True)]

    def ask(self, questions: Sequence[tuple[RecordedFrame[Handle], Question]]) -> list[Answer]:
        """Ask, and keep what was answered."""
        answers = self._engine.ask([(frame.inner, question) for frame, question in questions])
        rows = [
            RecordedAnswer.of(frame.frame_id, question, answer, self.model.name)
            for (frame, question), answer in zip(questions, answers, strict=True)
        ]
        record_answers(self._path, rows)
        self.provenance = self._engine.provenance  # an engine may learn how its server wants to be asked
        return answers

    def close(self, handle: RecordedFrame[Handle]) -> None:
        """Let go of a frame."""
        self._engine.close(handle.inner)


def record_answers(path: Path, rows: Sequence[RecordedAnswer]) -> None:
    """Append answers to a file, whole lines in one write, so that two writers never mix theirs."""
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(row.model_dump_json() + "\n" for row in rows).encode()
    with path.open("ab", buffering=0) as stream:
        if stream.write(lines) != len(lines):
            raise InputError(f"{path} could not be written to its end; is the disk full?")
        os.fsync(stream.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read as recorded answers: {error.strerror}") from None


def _lines(path: Path, content: bytes) -> list[RecordedAnswer]:
    lines = content.split(b"\n")
    if lines[-1] and not _is_row(lines[-1]):
        log.warning("%s ends in an unfinished line, which is left out", path)
        lines.pop()
    answers = []
    for number, line in enumerate(lines, start=1):
        try:
            answers += [RecordedAnswer.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InputError(f"{path}, line {number}, is no recorded answer: {reason}") from None
    return answers


def _finish_last_line(path: Path) -> None:
    """End the last line of a file that another writer was killed at, or remove it where it is not whole."""
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return
    if _is_row(content[end:]):
        with path.open("ab") as stream:
            stream.write(b"\n")
    else:
        log.warning("%s ended in an unfinished line, which is removed", path)
        os.truncate(path, end)


def _is_row(line: bytes) -> bool:
    try:
        RecordedAnswer.model_validate_json(line)
    except ValidationError:
        return False
    return True

"""Files of written answers from anywhere: JSON lines of image, field or question, answer and, if known, expected.

Read line by line. Other usual column names are understood and said; what cannot be used is counted by line number.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import InputError
from annotator.taxonomy import INTERPRETATION_FIELDS
from exports.text.fields import field_of

COLUMNS: dict[str, tuple[str, ...]] = {
    "image": (
        *("image", "frame", "image_id", "frame_id", "file_name", "filename", "file", "image_file", "image_name"),
        *("image_path", "image_paths", "img", "img_path", "path"),
    ),
    "field": ("field", "question_id", "task"),
    "question": ("question", "prompt", "query", "text_content", "instruction"),
    "answer": ("answer", "prediction", "predicted", "response", "output", "generated", "completion", "text"),
    "expected": (
        *("expected", "reference", "truth", "ground_truth", "groundtruth", "gt", "expected_answer", "target"),
        "label",
    ),
    "subject": ("subject", "subject_id", "patient", "patient_id"),
    "split": ("split", "subset"),
    "error": ("error",),
    "finish_reason": ("finish_reason", "stop_reason"),
}
LONGEST_ANSWER = 20_000
"""Characters that are kept of an answer: no interpretation is longer, some models write megabytes."""

_LINES_NAMED = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `question` names the field or asks freely, `characters` is its length before it was cut."""

    image: str
    question: str
    answer: str
    expected: str | None = None
    prompt: str = ""
    subject: str | None = None
    split: str | None = None
    error: str | None = None
    finish_reason: str | None = None
    characters: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What one answer is expected for."""
        return self.image, self.question

    @property
    def unit(self) -> str:
        """What is resampled: the subject, else the image."""
        return self.subject or self.image


@dataclass(frozen=True)
class AnswerFile:
    """The answers of a file, the last one of each (image, question), and what reading it met."""

    name: str
    answers: tuple[Answer, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    doubled: int = 0
    contradicting: int = 0
    unusable: Mapping[str, Sequence[int]] = field(default_factory=dict)
    missing: int = 0

    @property
    def notes(self) -> list[str]:
        """One line for each thing that the user should know of how the file was read."""
        renamed = [f"`{found}` as the {name}" for name, found in self.columns.items() if found != name]
        notes = [f"read {', '.join(renamed)}"] if renamed else []
        if self.doubled:
            notes.append(
                f"{self.doubled} answers are to an image and question that were answered before, "
                f"{self.contradicting} of them otherwise; the last one counts"
            )
        for reason, lines in self.unusable.items():
            named = ", ".join(map(str, lines[:_LINES_NAMED])) + (", ..." if len(lines) > _LINES_NAMED else "")
            notes.append(f"{len(lines)} lines left out, {reason}: line {named}")
        if self.missing:
            notes.append(f"{self.missing} pairs of image and question that the others suggest have no answer")
        return notes


def read_answers(path: Path) -> AnswerFile:
    """Read a file of JSON lines; InputError where it is no such file, lacks a column or holds no answer.

    Order does not matter. An answer that is an object of interpretation fields counts as one answer a field.
    """
    reader = _Reader(path)
    kept: dict[tuple[str, str], Answer] = {}
    doubled = contradicting = 0
    for answer in reader.answers():
        before = kept.get(answer.key)
        if before is not None:
            doubled += 1
            contradicting += before.answer != answer.answer
        kept[answer.key] = answer
    if not kept:
        raise InputError(f"{path}: no line holds an answer; {reader.what_was_found()}")
    return AnswerFile(
        path.name, tuple(kept.values()), reader.columns, doubled, contradicting, reader.unusable, _missing(kept)
    )


def _missing(kept: Mapping[tuple[str, str], Answer]) -> int:
    """Pairs that are not there though most images have an answer to the question."""
    images = {image for image, _ in kept}
    usual = {question: count for question, count in Counter(q for _, q in kept).items() if count > len(images) / 2}
    return sum(len(images) - count for count in usual.values())


class _Reader:
    """Goes through a file once; the first usable line tells its columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.columns: dict[str, str] = {}
        self.unusable: dict[str, list[int]] = {}
        self._first_keys: list[str] = []

    def answers(self) -> Iterator[Answer]:
        if not self._path.is_file():
            raise InputError(f"{self._path}: no such file of answers")
        with self._path.open(encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield from self._line(number, line)

    def _line(self, number: int, line: str) -> Iterator[Answer]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            self._refuse("no JSON", number)
            return
        if number == 1 and isinstance(row, list) and row and isinstance(row[0], dict):
            raise InputError(f"{self._path}: one JSON array; write one object a line (`jq -c '.[]' FILE` does it)")
        if not isinstance(row, dict):
            self._refuse("no JSON object", number)
            return
        row = {str(name).strip().lower(): value for name, value in row.items()}
        self._learn_columns(row)
        image = _text(self._value(row, "image"))
        if image is None:
            self._refuse("no image", number)
        elif "answer" not in self.columns and "error" not in self.columns:
            self._refuse("no answer", number)
        else:
            yield from self._of_row(image, row)

    def _learn_columns(self, row: Mapping[str, Any]) -> None:
        for name, usual in COLUMNS.items():
            if name not in self.columns and (found := next((one for one in usual if one in row), None)):
                self.columns[name] = found
        self._first_keys = self._first_keys or list(row)

    def what_was_found(self) -> str:
        """Why no line holds an answer: the column that is missing beside those that are there."""
        if not self._first_keys:
            return "each line must be a JSON object of image, field, answer and, if known, expected"
        lacking = [name for name in ("image", "answer") if name not in self.columns]
        wanted = "".join(f"no column for the {name} ({', '.join(COLUMNS[name])}); " for name in lacking)
        return f"{wanted}found the columns {', '.join(self._first_keys[:20])}"

    def _refuse(self, reason: str, number: int) -> None:
        self.unusable.setdefault(reason, []).append(number)

    def _of_row(self, image: str, row: Mapping[str, Any]) -> Iterator[Answer]:
        said, meant = (self._value(row, name) for name in ("answer", "expected"))
        if isinstance(said, dict) and (fields := [name for name in INTERPRETATION_FIELDS if name in said]):
            truths = meant if isinstance(meant, dict) else {}
            for name in fields:
                yield self._answer(image, name, said[name], truths.get(name), row)
        else:
            asked, field_name = _text(self._value(row, "question")), _text(self._value(row, "field"))
            question = field_name if field_name and field_of(field_name) else asked or field_name or ""
            yield self._answer(image, question, said, meant, row)

    def _value(self, row: Mapping[str, Any], name: str) -> Any:
        return row.get(self.columns.get(name, ""))

    def _answer(self, image: str, question: str, said: Any, meant: Any, row: Mapping[str, Any]) -> Answer:
        text, error = _text(said) or "", self._value(row, "error")
        return Answer(
            image=image,
            question=question,
            answer=text[:LONGEST_ANSWER],
            expected=_text(meant),
            prompt=_text(self._value(row, "question")) or "",
            subject=_text(self._value(row, "subject")),
            split=_text(self._value(row, "split")),
            error=_text(error) if error else None,
            finish_reason=_text(self._value(row, "finish_reason")),
            characters=len(text),
        )


def _text(value: Any) -> str | None:
    """A value as text; None for what stands for nothing: null, NaN, an empty string.

    >>> _text(["a.png"]), _text(20), _text(float("nan")), _text("  ")
    ('a.png', '20', None, None)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value).strip() or None
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value).strip() or None

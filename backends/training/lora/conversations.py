"""Reads conversations.jsonl, as `export conversations` writes it: a frame, a question about it, and the answer.

Only lines of split `train` are learnt from. A line that cannot be understood is an error that names its number: a
file cut off in the middle must not pass for a smaller one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotator.errors import InputError
from backends.engine import Phase

FILE_NAME = "conversations.jsonl"
TRAIN = "train"
NOTHING_SAID = ("", "[]", "{}")  # what an answer says when nothing was found


@dataclass(frozen=True, slots=True)
class Conversation:
    """One question and its answer. `image_id` is the frame's content hash, which teachers' features go by."""

    line: int
    task: Phase
    image: Path
    image_id: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Conversations:
    """What a folder holds for training; `left_out` counts lines by why they are not learnt from."""

    learnt: tuple[Conversation, ...]
    left_out: Mapping[str, int]
    sha256: str

    @property
    def by_task(self) -> dict[str, int]:
        """Conversations of each task."""
        counts = Counter(one.task for one in self.learnt)
        return {phase.value: counts[phase] for phase in Phase if counts[phase]}


def read_conversations(folder: Path) -> Conversations:
    """Return a folder's conversations; InputError where there is nothing to learn or a line is spoilt."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{path}: not there; make it with `annotator export conversations {folder}`")
    left_out, learnt = Counter[str](), []
    lines = total = 0
    for number, fields in _lines(path):
        total += 1
        if fields.get("split") != TRAIN:
            left_out["not of split train"] += 1
            continue
        lines += 1
        conversation = _conversation(folder, path, number, fields)
        if conversation.answer.strip():
            learnt.append(conversation)
        else:
            left_out["empty answer"] += 1
    _check(path, total, lines, learnt)
    return Conversations(tuple(learnt), dict(left_out), hashlib.sha256(path.read_bytes()).hexdigest())


def _check(path: Path, total: int, of_train: int, learnt: list[Conversation]) -> None:
    if not total:
        raise InputError(f"{path}: holds no conversation; export frames that were corrected or have a truth")
    if not of_train:
        raise InputError(
            f"{path}: none of its {total} conversations is of split train; give the frames splits first"
        )
    if all(one.answer.strip() in NOTHING_SAID for one in learnt):
        raise InputError(f"{path}: all {of_train} answers are empty; a model would learn to find nothing")


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                fields = orjson.loads(line)
            except orjson.JSONDecodeError:
                raise InputError(
                    f"{path}: line {number} is cut off or no JSON; export the conversations again"
                ) from None
            if not isinstance(fields, dict):
                raise InputError(f"{path}: line {number} is no JSON object")
            yield number, fields


def _conversation(folder: Path, path: Path, number: int, fields: dict[str, Any]) -> Conversation:
    try:
        prompt, answer = _texts(fields["messages"])
        task = Phase(fields["task"])
        image, image_id = folder / str(fields["image"]), str(fields["frame_id"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: line {number} is no conversation of one question and its answer ({error})"
        ) from None
    if not image.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: line {number} names an image outside of {folder}: {fields['image']}")
    if not image.is_file():
        raise InputError(f"{image}: missing, though line {number} of {path.name} asks about it; export again")
    return Conversation(number, task, image, image_id, prompt, answer)


def _texts(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The question and the answer; ValueError for anything but one turn of each, the question with one image."""
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"]:
        raise ValueError(f"its turns are {roles}")
    kinds = [part["type"] for part in messages[0]["content"]]
    if sorted(kinds) != ["image", "text"]:
        raise ValueError(f"its question is made of {kinds}")
    question = next(part["text"] for part in messages[0]["content"] if part["type"] == "text")
    answer = "".join(part["text"] for part in messages[1]["content"])
    if not question.strip():
        raise ValueError("its question is empty")
    return str(question), answer

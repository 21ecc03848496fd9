"""Training conversations as pairs of image and answer: what `export conversations` wrote."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import InputError

FILE_NAME = "conversations.jsonl"
TASKS = ("interpret", "classify")
_WHOLE = ("", "all")  # of interpretations the one with all fields: a captioner is not told which are asked for


@dataclass(frozen=True)
class Example:
    """One image and one answer about it."""

    image: Path
    task: str
    answer: str

    def pixels(self) -> NDArray[np.uint8]:
        """Read the image; InputError where it is missing or no image."""
        try:
            with Image.open(self.image) as opened:
                return np.asarray(opened.convert("L"))
        except OSError as error:
            raise InputError(f"{self.image}: the image of a conversation cannot be read: {error}") from None


def read_examples(folder: Path, tasks: Sequence[str] = TASKS) -> list[Example]:
    """Read the answers to `tasks` on frames that are not held out; InputError names the line at fault.

    Frames of the splits val, validation and test are left out.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{folder}: no {FILE_NAME}; `annotator export conversations` writes one")
    examples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                examples += _examples_of(path, number, line, tasks)
    if not examples:
        raise InputError(f"{path}: no answer to learn from; it needs lines of the tasks {', '.join(tasks)}")
    return examples


def _examples_of(path: Path, number: int, line: str, tasks: Sequence[str]) -> list[Example]:
    try:
        row = json.loads(line)
        if row["task"] not in tasks or row.get("variant", "") not in _WHOLE:
            return []
        if str(row.get("split") or "").lower() in ("val", "validation", "test"):
            return []
        return [Example(path.parent / row["image"], row["task"], _said(row))]
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f"{path}: line {number} is no training conversation") from None


def _said(row: Mapping[str, Any]) -> str:
    """The text of the assistant."""
    (answer,) = [message for message in row["messages"] if message["role"] == "assistant"]
    content = answer["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)

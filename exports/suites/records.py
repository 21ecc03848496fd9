"""What every suite has: questions on images, and a score for answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class SuiteQuestion:
    """One question on one image; `image` is the content of its file (PNG, JPEG, ...), `options` may be empty."""

    id: str
    task: str
    image: bytes
    prompt: str
    options: tuple[str, ...] = ()


class Suite(Protocol):
    """A benchmark that was opened."""

    name: str

    def questions(self) -> Iterator[SuiteQuestion]:
        """Every question, one image at a time."""
        ...

    def answers_in(self, path: Path) -> dict[str, str]:
        """Read a file or folder of answers in the suite's published form, by question id."""
        ...

    def score(self, answers: Mapping[str, str]) -> dict[str, Any]:
        """Figures for answers by question id; InputError where a question of a scored data set has none."""
        ...

    def as_text(self, document: Mapping[str, Any]) -> str:
        """The figures in words and tables."""
        ...

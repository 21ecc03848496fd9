"""What every vision-language engine can do: open a frame once, answer several questions of it, close it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from annotator.schema import ModelVersion

Handle = TypeVar("Handle")


class Phase(StrEnum):
    """The questions that are put to a model, in the order in which a frame passes them."""

    INTERPRET = "interpret"
    CLASSIFY = "classify"
    DETECT = "detect"
    SEGMENT = "segment"
    KEYPOINTS = "keypoints"


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt about a frame. `answer_schema` is the JSON schema of the answer, None where any text will do."""

    phase: Phase
    prompt: str
    answer_schema: Mapping[str, Any] | None
    max_new_tokens: int
    structures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How sure the model was of one token of its answer.

    `start` and `stop` span its characters in `Answer.text`. `log_probability` (natural) is the model's own, over
    its whole vocabulary and before any constraint; None for a token that was forced without asking the model.
    `removed_mass` is the probability that the constraint took away at this token, 0.0 where nothing was removed.
    """

    start: int
    stop: int
    log_probability: float | None
    removed_mass: float = 0.0


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `tokens` is None where the engine tells no probabilities; `error` names what failed.

    An answer that failed has an empty text, `Finish.ERROR` and a reason: it never looks like 'nothing found'.
    """

    text: str
    finish: Finish
    seconds: float
    tokens: tuple[TokenScore, ...] | None = None
    error: str | None = None
    retries: int = 0


class Engine(Protocol[Handle]):
    """A vision-language model. Not safe for several threads: whoever owns it asks one thing at a time."""

    model: ModelVersion
    provenance: Mapping[str, str | int | float | None]

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Handle]:
        """Take in frames, (H, W) gray or (H, W, 3) RGB; FrameError where one cannot be shown to the model."""
        ...

    def ask(self, questions: Sequence[tuple[Handle, Question]]) -> list[Answer]:
        """Answer questions about open frames, in order; one that fails is an Answer with an `error`."""
        ...

    def close(self, handle: Handle) -> None:
        """Let go of a frame."""
        ...

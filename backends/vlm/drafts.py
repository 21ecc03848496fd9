"""One answer while it is written: its tokens, how sure the model was of each, and where each lies in the text."""

import codecs
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import BackendError
from backends.engine import Answer, Finish, Question, TokenScore
from backends.vlm.grammar import Grammars, Guide


@dataclass(frozen=True, slots=True)
class OpenFrame:
    """A frame that questions are asked about, as the model is to see it."""

    number: int
    image: Image.Image


class Draft:
    """An answer in the making; `pending` are tokens that the model has not read yet, the question's at first."""

    def __init__(
        self, question: Question, asked: Sequence[int], guide: Guide | None, ends: frozenset[int], seed: int
    ) -> None:
        self.question = question
        self.pending = list(asked)
        self.seconds = 0.0
        self.finish: Finish | None = None
        self.error: str | None = None
        self._guide = guide
        # The seed mixes in the prompt, so that an answer does not depend on what else is asked in the same batch.
        self.random = torch.Generator().manual_seed(zlib.crc32(question.prompt.encode()) ^ seed)
        self._ends = ends
        self._written: list[tuple[int, float | None, float]] = []
        self._go_on()

    @property
    def tokens(self) -> list[int]:
        """The answer so far, without the end-of-text token."""
        return [token for token, _, _ in self._written]

    def allowed(self) -> NDArray[np.bool_] | None:
        """Return which tokens may come next, (vocabulary,); None where all may."""
        try:
            return None if self._guide is None else self._guide.allowed()
        except BackendError as error:
            self.fail(str(error))
            return None

    def accept(self, token: int, log_probability: float, removed_mass: float) -> None:
        """Take in the model's next token, and those that the grammar forces after it."""
        self.pending = []
        if self.finish is not None:
            return
        if token in self._ends:
            self.finish = Finish.STOP
            return
        self._write(token, log_probability, removed_mass)
        try:
            if self._guide is not None:
                self._guide.accept(token)
            self._go_on()
        except BackendError as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """End the answer with an error."""
        self.finish, self.error = Finish.ERROR, reason

    def _write(self, token: int, log_probability: float | None, removed_mass: float) -> None:
        self._written.append((token, log_probability, removed_mass))
        self.pending.append(token)

    def _go_on(self) -> None:
        forced = [] if self._guide is None or self._guide.complete else self._guide.take_forced()
        room = self.question.max_new_tokens - len(self._written)
        for token in forced[:room]:
            if token not in self._ends:
                self._write(token, None, 0.0)
        if self._guide is not None and self._guide.complete and len(forced) <= room:
            self.finish = Finish.STOP
        elif len(self._written) >= self.question.max_new_tokens:
            self.finish = Finish.LENGTH

    def answer(self, grammars: Grammars) -> Answer:
        """Return the finished answer."""
        if self.error is not None:
            return Answer("", Finish.ERROR, self.seconds, error=self.error)
        text, spans = text_and_spans([grammars.token_bytes(token) for token in self.tokens])
        scores = tuple(
            TokenScore(start, stop, log_probability, removed_mass)
            for (start, stop), (_, log_probability, removed_mass) in zip(spans, self._written, strict=True)
        )
        return Answer(text, self.finish or Finish.LENGTH, self.seconds, scores)


def text_and_spans(pieces: Sequence[bytes]) -> tuple[str, list[tuple[int, int]]]:
    """Decode tokens' bytes; a token that holds only part of a character spans the whole of it.

    >>> text_and_spans([b"1\\xc2", b"\\xb5", b"m"])
    ('1µm', [(0, 2), (1, 2), (2, 3)])
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, spans = "", []
    for piece in pieces:
        start = len(text)
        text += decoder.decode(piece)
        unfinished = bool(decoder.getstate()[0])
        spans.append((start, len(text) + int(unfinished)))
    return text + decoder.decode(b"", final=True), spans

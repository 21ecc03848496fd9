"""A baseline as an Engine: it knows one answer to a frame for each task that it was trained on."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotator.errors import BackendError
from annotator.schema import ModelVersion
from backends.baselines.files import image_tensor, load_captioner
from backends.baselines.networks import Captioner
from backends.baselines.tokens import task_token
from backends.engine import Answer, Finish, Question


class CaptionerEngine:
    """An Engine over a trained baseline; on the processor.

    The question's task chooses what is written; its words do not, and no schema is forced on the answer. A task it
    was not trained on is answered by an error.
    """

    def __init__(self, folder: Path) -> None:
        """Load a folder that `train_captioner` wrote; BackendError says what is amiss."""
        self._loaded = load_captioner(folder)
        self._frames: dict[int, Tensor] = {}
        self._opened = 0
        kind = self._loaded.card.kind
        self.model = ModelVersion(
            name=f"{kind}-{self._loaded.sha256[:12]}",
            backend="captioner",
            base=f"{kind}, trained from scratch",
            content_hash=self._loaded.sha256,
            settings={"kind": kind, "tasks": list(self._loaded.card.tasks)},
        )
        self.provenance: Mapping[str, str | int | float | None] = {
            "engine": "captioner",
            "model_sha256": self._loaded.sha256,
            "decoding": "greedy, free",
        }

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[int]:
        """Take in frames, (H, W) gray or (H, W, 3) RGB."""
        side_px = self._loaded.card.settings.image_side_px
        first = self._opened
        for one in pixels:
            self._frames[self._opened] = image_tensor(one, side_px)[None]
            self._opened += 1
        return list(range(first, self._opened))

    def ask(self, questions: Sequence[tuple[int, Question]]) -> list[Answer]:
        """Answer in order; BackendError for a frame that is not open."""
        return [self._answer(handle, question) for handle, question in questions]

    def close(self, handle: int) -> None:
        """Let go of a frame; one that is not open is no error."""
        self._frames.pop(handle, None)

    def _answer(self, handle: int, question: Question) -> Answer:
        if handle not in self._frames:
            raise BackendError(f"frame {handle} is not open")
        card, tokens, task = self._loaded.card, self._loaded.tokens, question.phase.value
        if task not in card.tasks:
            known = ", ".join(card.tasks)
            return Answer("", Finish.ERROR, 0.0, error=f"it was trained to {known} only, not to {task}")
        begun = time.perf_counter()
        most = min(question.max_new_tokens, card.settings.longest_tokens)
        start = int(tokens.convert_tokens_to_ids(task_token(task)))
        with torch.inference_mode():
            written = cast("Captioner", self._loaded.network).write(self._frames[handle], start, most)
        is_whole = bool(written) and written[-1] == tokens.eos_token_id
        text = str(tokens.decode(written, skip_special_tokens=True))
        finish = Finish.STOP if is_whole else Finish.LENGTH
        return Answer(text, finish, time.perf_counter() - begun)

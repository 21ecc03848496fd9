"""The plain way, for any family: transformers' own generate(), one question at a time, with the same grammar."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from backends.vlm.decoding import choose
from backends.vlm.drafts import Draft, OpenFrame
from backends.vlm.processor import chat
from backends.vlm.timing import Stopwatch


class DraftWriter(LogitsProcessor):  # type: ignore[misc]
    """Lets a Draft choose each token and leaves generate() no other; after the draft's end only end-of-text."""

    def __init__(self, draft: Draft, end: int, temperature: float | None) -> None:
        self._draft = draft
        self._end = end
        self._temperature = temperature
        self._waiting = list(draft.pending)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores, (1, vocabulary), in which a single token is possible."""
        if not self._waiting and self._draft.finish is None:
            choice = choose(scores, [self._draft.allowed()], [self._draft], self._temperature)
            self._draft.accept(choice.tokens[0], choice.log_probabilities[0], choice.removed_masses[0])
            self._waiting = list(self._draft.pending)
        forced = self._waiting.pop(0) if self._waiting else self._end
        only = torch.full_like(scores, -torch.inf)
        only[:, forced] = 0.0
        return only


class PlainWriter:
    """Writes drafts by generate(): the image is encoded again for every question."""

    def __init__(self, model: Any, processor: Any, temperature: float | None) -> None:
        self.watch = Stopwatch()
        self._model = model
        self._processor = processor
        self._temperature = temperature

    def asked(self, prompt: str) -> list[int]:
        """Return nothing: generate() gets the prompt with the image."""
        return []

    def encode(self, frames: Sequence[OpenFrame]) -> None:
        """Do nothing: there is no state to keep."""

    def write(self, frames: Sequence[OpenFrame], drafts: Sequence[Draft]) -> None:
        """Write every draft to its end; draft i is about frame i."""
        for frame, draft in zip(frames, drafts, strict=True):
            if draft.finish is None:
                begun = time.perf_counter()
                with self.watch.measure("generate"):
                    self._generate(frame, draft)
                draft.seconds += time.perf_counter() - begun

    @torch.inference_mode()
    def _generate(self, frame: OpenFrame, draft: Draft) -> None:
        text = chat(self._processor, draft.question.prompt)
        batch = self._processor(text=[text], images=[frame.image], return_tensors="pt")
        end = self._processor.tokenizer.eos_token_id
        settings = GenerationConfig(
            max_new_tokens=draft.question.max_new_tokens + 1, do_sample=False, eos_token_id=end, pad_token_id=end
        )
        writer = LogitsProcessorList([DraftWriter(draft, end, self._temperature)])
        inputs = batch.to(self._model.device, dtype=self._model.dtype)
        self._model.generate(**inputs, generation_config=settings, logits_processor=writer)

    def drop(self, frame: OpenFrame) -> None:
        """Do nothing: there is no state to forget."""

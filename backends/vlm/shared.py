"""The fast way: questions start from their frame's stored prefix and are decoded in one batch."""

from collections.abc import Sequence
from typing import Any

from backends.vlm.cpu import pack_linears
from backends.vlm.decoding import decode
from backends.vlm.devices import Halving
from backends.vlm.drafts import Draft, OpenFrame
from backends.vlm.prefix import Prefix, PrefixStore, prefill, stack
from backends.vlm.processor import split_chat
from backends.vlm.timing import Stopwatch

FAMILIES = ("qwen3_5",)  # those whose layers backends.vlm.packed knows


class SharedPrefixWriter:
    """Writes drafts with Qwen3.5; a frame whose state was dropped is encoded again when it is asked about."""

    def __init__(
        self, model: Any, processor: Any, prefixes: PrefixStore, max_frames: int, temperature: float | None
    ) -> None:
        pack_linears(model)
        self.watch = Stopwatch()
        self._model = model
        self._processor = processor
        self._prefixes = prefixes
        self._batches = Halving(max_frames)
        self._temperature = temperature

    def asked(self, prompt: str) -> list[int]:
        """Return the tokens after the image; a marker stands before them, so the cut changes none."""
        text = split_chat(self._processor, prompt)[1]
        return list(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode(self, frames: Sequence[OpenFrame]) -> dict[int, Prefix]:
        """Return each frame's prefix by its number, from the store where it is held, else made and stored."""
        prefixes: dict[int, Prefix] = {}
        by_size: dict[tuple[int, int], list[OpenFrame]] = {}
        for frame in {frame.number: frame for frame in frames}.values():
            held = self._prefixes.get(frame.number)
            if held is None:
                by_size.setdefault(frame.image.size, []).append(frame)
            else:
                prefixes[frame.number] = held
        for alike in by_size.values():
            for frame, prefix in zip(alike, self._batches.run(alike, self._prefill), strict=True):
                prefixes[frame.number] = prefix
                self._prefixes.put(frame.number, prefix)
        return prefixes

    def _prefill(self, frames: Sequence[OpenFrame]) -> list[Prefix]:
        text = split_chat(self._processor, "")[0]
        with self.watch.measure("vision"):
            images = [frame.image for frame in frames]
            batch = self._processor(text=[text] * len(frames), images=images, return_tensors="pt")
        return prefill(self._model, dict(batch.to(self._model.device)), self.watch)

    def write(self, frames: Sequence[OpenFrame], drafts: Sequence[Draft]) -> None:
        """Write every draft to its end; draft i is about frame i."""
        unfinished = [(frame, draft) for frame, draft in zip(frames, drafts, strict=True) if draft.finish is None]
        if not unfinished:
            return
        prefixes = self.encode([frame for frame, _ in unfinished])
        room = max(len(draft.pending) + draft.question.max_new_tokens for _, draft in unfinished)
        states = stack([prefixes[frame.number] for frame, _ in unfinished], room)
        decode(self._model, states, [draft for _, draft in unfinished], self._temperature, self.watch)

    def drop(self, frame: OpenFrame) -> None:
        """Forget a frame's state."""
        self._prefixes.drop(frame.number)

"""Conversations -> tensors. The question is tokenised exactly as a model is asked; only its answer is learnt.

What stands before the answer (also the closed think block that some templates put there) comes from
`backends.vlm.processor.chat`, as at inference, and the answer's tokens are those that follow it. Behind the answer
comes the token with which the template ends a turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from annotator.errors import BackendError, FrameError, InputError
from backends.engine import Phase
from backends.training.lora.conversations import Conversation
from backends.vlm.loading import end_tokens
from backends.vlm.processor import chat, to_image

PER_TOKEN = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
MARK = "the answer stands here"


@dataclass(frozen=True)
class Encoded:
    """One conversation: what the processor gives for it, each with a first axis of its own; the answer's place.

    `tiles` counts the pieces into which the processor cut the image (1 where it does not cut).
    """

    inputs: Mapping[str, Tensor]
    answer_start: int
    tiles: int
    task: Phase
    image_id: str

    @property
    def length(self) -> int:
        """Tokens, those of the image included."""
        return int(self.inputs["input_ids"].shape[1])


@dataclass(frozen=True)
class Batch:
    """Several conversations side by side, padded at the right. `answers` are (start, stop) of each row's answer."""

    inputs: Mapping[str, Tensor]
    answers: tuple[tuple[int, int], ...]
    tiles: tuple[int, ...]
    tasks: tuple[Phase, ...]
    image_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.answers)


class Encoder:
    """Makes conversations into tensors for one model."""

    def __init__(self, processor: Any, model: Any, image_max_side_px: int) -> None:
        self._processor = processor
        self._image_max_side_px = image_max_side_px
        self._end = _end_of_turn(processor, end_tokens(model, processor.tokenizer))
        self._image_tokens: dict[tuple[int, int], int] = {}

    def length(self, conversation: Conversation) -> int:
        """Tokens of a conversation, told from the size of its image without reading its pixels."""
        try:
            with Image.open(conversation.image) as image:
                size_wh = image.size
        except OSError as error:
            raise InputError(f"{conversation.image}: cannot be read as an image ({error})") from None
        if size_wh not in self._image_tokens:
            blank = np.zeros(size_wh[::-1], np.uint8)
            bare = chat(self._processor, "")
            shown = self._ask(bare, self._shown(blank, conversation.image))["input_ids"].shape[1]
            self._image_tokens[size_wh] = shown - len(self._tokens(bare))
        asked = self._tokens(chat(self._processor, conversation.prompt))
        return self._image_tokens[size_wh] + len(asked) + len(self.target(conversation.answer))

    def target(self, answer: str) -> list[int]:
        """Return the tokens that are learnt: the answer and the end of the turn."""
        return [*self._tokens(answer), self._end]

    def encode(self, conversation: Conversation) -> Encoded:
        """Return one conversation with its image; InputError where that cannot be read."""
        shown = self._shown(_pixels(conversation.image), conversation.image)
        inputs = self._ask(chat(self._processor, conversation.prompt), shown)
        start = int(inputs["input_ids"].shape[1])
        target = torch.tensor([self.target(conversation.answer)])
        for name in PER_TOKEN:
            if name in inputs:
                more = target if name == "input_ids" else torch.full_like(target, int(name == "attention_mask"))
                inputs[name] = torch.cat([inputs[name], more.to(inputs[name].dtype)], dim=1)
        pixels = inputs["pixel_values"]
        tiles = int(pixels.shape[1]) if pixels.ndim == 5 else 1
        return Encoded(inputs, start, tiles, conversation.task, conversation.image_id)

    def _shown(self, pixels: Any, path: Path) -> Image.Image:
        try:
            return to_image(pixels, self._image_max_side_px, path.name)
        except FrameError as error:
            raise InputError(str(error)) from None

    def _ask(self, text: str, image: Image.Image) -> dict[str, Tensor]:
        return dict(self._processor(text=[text], images=[image], return_tensors="pt"))

    def _tokens(self, text: str) -> list[int]:
        return list(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def _end_of_turn(processor: Any, ends: frozenset[int]) -> int:
    """Return the token that ends an answer: the template's, else the tokenizer's end of text."""
    template = processor.chat_template or processor.tokenizer.chat_template
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": MARK}]},
    ]
    text = processor.tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False)
    behind = processor.tokenizer(text.partition(MARK)[2], add_special_tokens=False)["input_ids"]
    found = next((token for token in behind if token in ends), processor.tokenizer.eos_token_id)
    if found is None:
        raise BackendError(
            "neither the chat template nor the tokenizer says how an answer ends; it would never end"
        )
    return int(found)


def _pixels(path: Path) -> Any:
    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise InputError(
            f"{path}: cannot be read as an image ({error}); export again, then run this again"
        ) from None


def collate(rows: Sequence[Encoded], pad_token: int) -> Batch:
    """Lay conversations side by side: token rows padded at the right, images one after the other.

    Every token sees only what stands before it, so what pads a row at its right changes none of its tokens.
    """
    width = max(row.length for row in rows)
    inputs: dict[str, Tensor] = {}
    for name in rows[0].inputs:
        parts = [row.inputs[name] for row in rows]
        if name in PER_TOKEN:
            fill = pad_token if name == "input_ids" else 0
            inputs[name] = torch.cat([_widened(part, (width,), fill) for part in parts])
        else:
            sizes = tuple(max(lengths) for lengths in zip(*(part.shape[1:] for part in parts), strict=True))
            inputs[name] = torch.cat([_widened(part, sizes, 0) for part in parts])
    return Batch(
        inputs,
        tuple((row.answer_start, row.length) for row in rows),
        tuple(row.tiles for row in rows),
        tuple(row.task for row in rows),
        tuple(row.image_id for row in rows),
    )


def _widened(part: Tensor, sizes: Sequence[int], fill: int) -> Tensor:
    """Pad all axes but the first to `sizes`, at their ends."""
    missing = [size - length for size, length in zip(sizes, part.shape[1:], strict=True)]
    if not any(missing):
        return part
    return torch.nn.functional.pad(part, [pad for more in reversed(missing) for pad in (0, more)], value=fill)

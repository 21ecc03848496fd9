"""A trained baseline as files: `model.json` (what it is), `model.safetensors`, `tokenizer.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from annotator.errors import BackendError
from annotator.files import write_atomically
from annotator.schema import Record
from backends.baselines.networks import Marks, build
from backends.baselines.settings import MARKER, CaptionerSettings, Kind
from backends.baselines.tokens import read_tokens
from backends.embedded.framing import to_gray

WEIGHTS, TOKENS = "model.safetensors", "tokenizer.json"


class CaptionerCard(Record):
    """What `model.json` says: the kind of baseline, what it learnt to answer, and from what."""

    kind: Kind
    tasks: tuple[str, ...] = Field(min_length=1)
    settings: CaptionerSettings
    trained: dict[str, str | int | float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """A baseline that can be asked; `network` is a Captioner in eval mode."""

    card: CaptionerCard
    network: nn.Module
    tokens: PreTrainedTokenizerFast
    sha256: str


def marks_of(tokens: PreTrainedTokenizerFast) -> Marks:
    """Return the numbers that a network has to know."""
    return Marks(len(tokens), int(tokens.pad_token_id), int(tokens.eos_token_id))


def image_tensor(pixels: NDArray[np.uint8], side_px: int) -> Tensor:
    """(H, W) or (H, W, 3) pixels -> (1, S, S) in -1..1, the whole frame, centred on black."""
    gray = to_gray(pixels)
    scale = side_px / max(gray.shape)
    height, width = (max(round(length * scale), 1) for length in gray.shape)
    shrunk = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
    square = np.zeros((side_px, side_px), np.float32)
    top, left = (side_px - height) // 2, (side_px - width) // 2
    square[top : top + height, left : left + width] = shrunk
    return torch.from_numpy(square[None] / 127.5 - 1.0)


def save_captioner(folder: Path, card: CaptionerCard, network: nn.Module, tokens: PreTrainedTokenizerFast) -> None:
    """Write the files, the marker last: a folder that has it is whole."""
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(weights))
    write_atomically(folder / TOKENS, tokens.backend_tokenizer.to_str().encode())
    write_atomically(folder / MARKER, (card.model_dump_json(indent=2) + "\n").encode())


def load_captioner(folder: Path) -> Loaded:
    """Read a baseline; BackendError names the file that cannot be used."""
    try:
        card = CaptionerCard.model_validate(json.loads((folder / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise BackendError(f"{folder / MARKER}: describes no baseline: {said}") from None
    for name in (WEIGHTS, TOKENS):
        if not (folder / name).is_file():
            raise BackendError(f"{folder}: {name} is missing; train the baseline again into this folder")
    tokens = read_tokens(str(folder / TOKENS))
    network = build(card.kind, card.settings, marks_of(tokens))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise BackendError(f"{folder / WEIGHTS}: not the weights that {MARKER} describes: {said}") from None
    return Loaded(card, network.eval(), tokens, _digest(folder))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (MARKER, TOKENS, WEIGHTS):
        content = (folder / name).read_bytes()
        digest.update(f"{name}:{len(content)}:".encode() + content)
    return digest.hexdigest()

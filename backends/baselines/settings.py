"""What a baseline is built and trained with; kept beside its weights in `model.json`."""

import json
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from annotator.schema import Record

Kind = Literal["vit_gpt2", "cnn_transformer"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MARKER = "model.json"


class CaptionerSettings(Record):
    """Sizes of the network and its training. The image is a gray square of `image_side_px`, padded with black."""

    image_side_px: int = Field(default=224, ge=32, le=1024)
    patch_px: int = Field(default=16, ge=4, le=64, description="of the ViT; the CNN has a stride of 16")
    width: int = Field(default=256, ge=16, le=2048)
    heads: int = Field(default=8, ge=1, le=32)
    encoder_layers: int = Field(default=4, ge=1, le=48)
    decoder_layers: int = Field(default=4, ge=1, le=48)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    vocabulary: int = Field(default=4000, ge=300, le=60_000)
    longest_tokens: int = Field(default=640, ge=8, le=4096, description="of an answer, its end included")
    epochs: int = Field(default=40, ge=1)
    batch: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "CaptionerSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared among {self.heads} heads")
        if self.image_side_px % 16 or self.image_side_px % self.patch_px:
            raise ValueError(f"image_side_px {self.image_side_px} is no multiple of 16 and of patch_px")
        return self


def is_captioner(folder: Path) -> bool:
    """Tell whether a folder holds a baseline; `model.json` of other models names no such kind."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("kind") in KINDS

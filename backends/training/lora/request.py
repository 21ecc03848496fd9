"""What to train, on what, and how; every number that shapes an adapter."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from annotator.schema import Record

PresetName = Literal["targeted", "extended", "hybrid", "fada"]
Distill = Literal["none", "selective", "full"]


class LoraRequest(Record):
    """One training run.

    `data` is a folder as `export conversations` writes it, `model` a hub id or folder, `adapter` an adapter to
    start from. `rank`, `alpha` and `dropout` left None are the preset's, or those of `adapter`. `steps`, where
    given, counts optimiser steps in place of `epochs`. A step learns from `batch` x `accumulation` conversations,
    `batch` of them at once on the device. The rate rises over the share `warmup` of all steps, then falls along a
    cosine. Images are shown at `image_max_side_px` at most; conversations longer than `max_tokens` are left out.
    """

    data: Path
    model: str
    out: Path
    adapter: Path | None = None
    preset: PresetName = "fada"
    rank: PositiveInt | None = None
    alpha: PositiveInt | None = None
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0)
    epochs: PositiveInt = 3
    steps: PositiveInt | None = None
    batch: PositiveInt = 2
    accumulation: PositiveInt = 4
    learning_rate: PositiveFloat = 2e-4
    warmup: float = Field(default=0.03, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    clip_norm: PositiveFloat = 1.0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: str = "auto"
    gradient_checkpointing: bool = True
    seed: int = Field(default=0, ge=0)
    distill: Distill = "none"
    teacher_cache: Path | None = None
    distill_weight: PositiveFloat = 0.5
    image_max_side_px: PositiveInt = 1024
    max_tokens: PositiveInt = 4096
    checkpoint_every: PositiveInt = 50

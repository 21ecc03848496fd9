"""Real model folders that are worse than their parent on purpose: what a gate must never let through."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from annotator.taxonomy import FIRST_TRIMESTER_PLANE
from backends.embedded.model import WEIGHT_FILES
from backends.training.data import Example
from backends.training.finetune import FineTuneSettings, fine_tune_embedded
from backends.training.finetune.rehearsal import simulated_frames
from backends.training.finetune.tasks import Teaching
from tests.correction_sets import write_data_set

WHAT_LOADS = ("model.json", *WEIGHT_FILES)


def noisy_copy(parent: Path, out: Path, sigma: float, seed: int) -> Path:
    """The parent with Gaussian noise in its weights, `sigma` times each matrix's own spread; returns `out`."""
    generator = torch.Generator().manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parent / "model.json", out / "model.json")
    for name in WEIGHT_FILES:
        weights = load_file(parent / name)
        noisy = {key: _with_noise(value, sigma, generator) for key, value in weights.items()}
        save_file(noisy, out / name)
    return out


def equal_copy(parent: Path, out: Path) -> Path:
    """The parent under another content hash: only a note in its settings differs."""
    out.mkdir(parents=True, exist_ok=True)
    for name in WHAT_LOADS:
        shutil.copyfile(parent / name, out / name)
    text = (out / "model.json").read_text(encoding="utf-8")
    (out / "model.json").write_text(text.rstrip() + "\n\n", encoding="utf-8")
    return out


def _with_noise(value: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """Vectors (norms, biases) stay: noise there breaks a network outright, which would be too easy to refuse."""
    if not value.is_floating_point() or value.ndim < 2:
        return value
    noise = torch.randn(value.shape, generator=generator) * value.float().std()
    return (value.float() + sigma * noise).to(value.dtype)


def train_on_shuffled_labels(parent: Path, out: Path, seed: int, *, frames: int = 12, epochs: int = 3) -> Path:
    """The parent fine-tuned in few steps on simulated frames, each with the labels of another one; returns `out`.

    Nothing holds it near the parent. Heads and kinds of frames are learnt wrong; boxes and planes are not touched.
    """
    examples = simulated_frames(frames, seed)
    order = np.random.default_rng(seed).permutation(frames)
    shuffled = [_with_labels_of(examples[i], examples[j]) for i, j in zip(order, np.roll(order, 1), strict=True)]
    teaching = Teaching(batch=8, least_per_epoch=frames, rehearsal=0.0, anchor=0.0)
    settings = FineTuneSettings(epochs=epochs, learning_rate=2e-3, ema=0.5, simulated=4, teaching=teaching)
    with tempfile.TemporaryDirectory() as folder:
        data = write_data_set(Path(folder), shuffled)
        fine_tune_embedded(data, parent, out, settings=settings, seed=seed)
    return out


def _with_labels_of(example: Example, other: Example) -> Example:
    """Planes of heads are left open: a plane is not worth the time that teaching five networks takes."""
    size_wh = example.pixels.shape[1], example.pixels.shape[0]
    mask = None if other.mask is None else cv2.resize(other.mask, size_wh, interpolation=cv2.INTER_NEAREST)
    plane = FIRST_TRIMESTER_PLANE if other.mask is None else None
    return replace(example, mask=mask, boxes={}, plane=plane)

"""`train embedded`: from the development data to a folder that EmbeddedBackend loads.

    head     hc18 masks, and the kind of frame from all sources
    boxes    fetus_nt
    planes   brain_planes, from crops that the finished head network lays straight

Then the weights are stored in half precision, loaded again as they will be used, calibrated and measured on the
validation split. Each network keeps a checkpoint of its last epoch in `checkpoints/`, so a killed run resumes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from safetensors.torch import save
from torch import nn

from annotator.files import write_atomically
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded import EmbeddedBackend
from backends.embedded.model import FORMAT, WEIGHT_FILES, load_model
from backends.embedded.networks import HeadNet
from backends.training.box_task import STRUCTURES, BoxSettings, BoxTask
from backends.training.calibrate import calibrate
from backends.training.card import model_card
from backends.training.data import VIEWS, Example, data_hashes, load_examples
from backends.training.head_task import HeadSettings, HeadTask
from backends.training.loop import Row, Schedule, fit
from backends.training.measure import measure
from backends.training.plane_ensemble import Ensemble, LeftOut, cross_validation, fit_ensemble, lay_out_heads
from backends.training.plane_task import PlaneSettings


@dataclass(frozen=True)
class EmbeddedSettings:
    """Every number that shapes the model."""

    head: HeadSettings = field(default_factory=HeadSettings)
    head_schedule: Schedule = field(default=Schedule(40, 16, learning_rate=2e-3, weight_decay=0.02, ema=0.995))
    boxes: BoxSettings = field(default_factory=BoxSettings)
    boxes_schedule: Schedule = field(default=Schedule(50, 16, learning_rate=2e-3, weight_decay=0.02, ema=0.995))
    planes: PlaneSettings = field(default_factory=PlaneSettings)
    planes_schedule: Schedule = field(default=Schedule(70, 16, learning_rate=2e-3, weight_decay=0.05, ema=0.98))


DEFAULTS = EmbeddedSettings()


def train_embedded(
    data_dir: Path, out_dir: Path, *, seed: int = 0, settings: EmbeddedSettings = DEFAULTS, threads: int = 1
) -> dict[str, Any]:
    """Train on the `train` split, write weights, model.json, training.json and MODEL_CARD.md; return model.json.

    The same seed, settings, threads and machine give the same weights, also when the run was killed in between.
    Raises InputError where the data cannot be read, BackendError where a checkpoint belongs to other settings.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)  # frames are small; cv2's own threads would fight torch's
    examples = load_examples(data_dir)
    head, boxes, planes, rows = _fit_all(examples, settings, seed, out_dir / "checkpoints")
    for name, network in zip(WEIGHT_FILES, (head, boxes, planes.members), strict=True):
        save_weights(network, out_dir / name)
    write_json(out_dir / "training.json", rows)
    counts = Counter(example.source for example in examples if example.split == "train")
    description = _describe(settings, seed, threads) | {"data": data_hashes(data_dir), "frames": dict(counts)}
    validation = [example for example in examples if example.split == "val"]
    return _finish(out_dir, description, validation, planes.left_out)


def save_weights(network: nn.Module, path: Path) -> None:
    """Store matrices in half precision and vectors, among them the variances of the norms, in single."""
    weights = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in network.state_dict().items()
    }
    write_atomically(path, save(weights))


def _fit_all(
    examples: Sequence[Example], settings: EmbeddedSettings, seed: int, checkpoints: Path
) -> tuple[nn.Module, nn.Module, Ensemble, list[Row]]:
    head_task = HeadTask(examples, settings.head, settings.head_schedule.batch)
    head, head_rows = fit(head_task, settings.head_schedule, seed, checkpoints / "head.ckpt")
    box_task = BoxTask(examples, settings.boxes, settings.boxes_schedule.batch)
    boxes, box_rows = fit(box_task, settings.boxes_schedule, seed, checkpoints / "boxes.ckpt")
    assert isinstance(head, HeadNet)
    training = [example for example in examples if example.split == "train"]
    heads = lay_out_heads(head, training, settings.head.size_wh)
    encoder = head.encoder.state_dict()
    planes = fit_ensemble(heads, encoder, settings.planes, settings.planes_schedule, seed, checkpoints)
    return head, boxes, planes, [*head_rows, *box_rows, *planes.rows]


def _describe(settings: EmbeddedSettings, seed: int, threads: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "head": {**_network(settings.head), "views": VIEWS},
        "boxes": {**_network(settings.boxes), "structures": STRUCTURES},
        "planes": {
            **_network(settings.planes),
            "planes": BRAIN_PLANES,
            "members": settings.planes.members,
            "margin": settings.planes.margin,
        },
        "seed": seed,
        "threads": threads,
        "torch": torch.__version__,
        "training": asdict(settings),
    }


def _network(settings: HeadSettings | BoxSettings | PlaneSettings) -> dict[str, Any]:
    kept = ("size_wh", "widths", "decoder_widths")
    return {name: value for name, value in asdict(settings).items() if name in kept}


def _finish(
    out_dir: Path, description: dict[str, Any], validation: Sequence[Example], left_out: Sequence[LeftOut]
) -> dict[str, Any]:
    """Calibrate and measure the weights as stored, and write what is known about them beside them."""
    write_json(out_dir / "model.json", description)
    calibration = calibrate(load_model(out_dir), validation, left_out, description["seed"])
    description = description | {"calibration": calibration}
    write_json(out_dir / "model.json", description)
    figures = measure(EmbeddedBackend(out_dir), validation)
    description = description | {"validation": figures, "cross_validation": cross_validation(left_out)}
    write_json(out_dir / "model.json", description)
    write_atomically(out_dir / "MODEL_CARD.md", model_card(description, out_dir).encode())
    return description


def write_json(path: Path, content: object) -> None:
    """Write a file of indented JSON, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

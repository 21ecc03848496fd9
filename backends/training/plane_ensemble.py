"""The plane ensemble: each member leaves out a fold of the subjects, which then judge it honestly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from backends.embedded.model import HeadReader, PlaneReader
from backends.embedded.networks import HeadNet, PlaneNet, PlanePair
from backends.training.data import Example
from backends.training.gradient_rule import fit_gradients
from backends.training.loop import Row, Schedule, fit
from backends.training.measure import mean_figure
from backends.training.plane_task import Head, PlaneSettings, PlaneTask, folds

LeftOut = tuple[Head, NDArray[np.float32]]


@dataclass(frozen=True)
class Ensemble:
    """Trained members, their curves, and the logits of each training frame by the member that never saw it."""

    members: nn.ModuleList
    rows: list[Row]
    left_out: list[LeftOut]


def lay_out_heads(head: HeadNet, examples: Sequence[Example], size_wh: tuple[int, int]) -> list[Head]:
    """Find the head in every frame whose plane is known."""
    reader = HeadReader(head, size_wh)
    found = [(example, reader.read(example.pixels).outline) for example in examples if example.plane is not None]
    return [Head(example, None if outline is None else outline.ellipse) for example, outline in found]


def fit_ensemble(
    heads: Sequence[Head],
    encoder: Mapping[str, Tensor],
    settings: PlaneSettings,
    schedule: Schedule,
    seed: int,
    checkpoints: Path,
) -> Ensemble:
    """Train one member a fold."""
    ensemble = Ensemble(nn.ModuleList(), [], [])
    for number, fold in enumerate(folds(heads, settings.members, seed)):
        kept = [head for head in heads if head not in fold]
        task = PlaneTask(kept, settings, schedule.batch, number, encoder)
        learnt, rows = fit(task, schedule, seed, checkpoints / f"{task.name}.ckpt")
        assert isinstance(learnt, PlaneNet)
        member = PlanePair(learnt, fit_gradients(kept, settings))
        reader = PlaneReader([member], settings.size_wh, settings.margin)
        ensemble.members.append(member)
        ensemble.rows.extend(rows)
        ensemble.left_out.extend((head, reader.read(head.example.pixels, head.ellipse)) for head in fold)
    return ensemble


def cross_validation(left_out: Sequence[LeftOut]) -> dict[str, Any]:
    """Accuracy of single members on the subjects they never saw; the ensemble should do no worse."""
    return mean_figure([(head.example, float(logits.argmax() == head.plane)) for head, logits in left_out])

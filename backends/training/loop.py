"""One training loop for all networks: AdamW, a warm cosine, averaged weights, and a checkpoint after every epoch.

Everything random in an epoch comes from (seed, network, epoch), so that a run that was killed and resumed ends with
the same weights as one that was not.
"""

from __future__ import annotations

import copy
import io
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from tqdm import tqdm

from annotator.errors import BackendError
from annotator.files import write_atomically

Batch = tuple[Tensor, ...]
Row = dict[str, float | int | str]
OnStep = Callable[[int], None]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: `ema` is the share of the old average that each step keeps."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    ema: float
    measure_every: int = 4


class Task(Protocol):
    """What one network learns, from which frames, and how it is measured."""

    name: str
    steps: int
    settings: Any  # a dataclass; a checkpoint is only continued under equal ones

    def build(self) -> nn.Module:
        """Return the network as it starts; torch is seeded before."""
        ...

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield the `steps` batches of one epoch."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the scalar to be made small."""
        ...

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Return figures on the validation split, for the curve; nothing is chosen by them."""
        ...


@dataclass
class _State:
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    rows: list[Row]
    epoch: int = 0

    def dump(self, settings: dict[str, Any]) -> bytes:
        buffer = io.BytesIO()
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rows": self.rows,
            "epoch": self.epoch,
            "settings": settings,
        }
        torch.save(parts, buffer)
        return buffer.getvalue()

    def load(self, path: Path, settings: dict[str, Any]) -> None:
        parts = torch.load(path, weights_only=True)
        if parts["settings"] != settings:
            raise BackendError(f"{path} was begun with other settings; delete it, or train into another folder")
        self.network.load_state_dict(parts["network"])
        self.average.load_state_dict(parts["average"])
        self.optimiser.load_state_dict(parts["optimiser"])
        self.rows, self.epoch = parts["rows"], parts["epoch"]


def fit(
    task: Task, schedule: Schedule, seed: int, checkpoint: Path, on_step: OnStep | None = None
) -> tuple[nn.Module, list[Row]]:
    """Train, or go on from `checkpoint`, to the end; return the averaged network in eval mode, and the curve.

    `on_step` is told how many steps are done, after each; what it raises ends the training, which can be resumed. A
    bar is drawn where there is none.
    """
    settings = {"seed": seed, "steps": task.steps, "schedule": asdict(schedule), "task": asdict(task.settings)}
    state = _start(task, schedule, seed)
    if checkpoint.is_file():
        state.load(checkpoint, settings)
    total, done = schedule.epochs * task.steps, state.epoch * task.steps
    with tqdm(total=total, initial=done, desc=task.name, unit="step", disable=on_step is not None) as bar:
        while state.epoch < schedule.epochs:
            _run_epoch(task, schedule, seed, state, bar, on_step)
            write_atomically(checkpoint, state.dump(settings))
    return state.average.eval(), state.rows


def _seed(seed: int, name: str, epoch: int) -> Generator:
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode()), epoch])
    torch.manual_seed(int(sequence.generate_state(1)[0]))
    return np.random.default_rng(sequence)


def _start(task: Task, schedule: Schedule, seed: int) -> _State:
    _seed(seed, task.name, 0)
    network = task.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Weight decay on norms and biases only hurts (Goyal et al. 2017, arXiv:1706.02677, section 5.3).
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    plain = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return _State(network, copy.deepcopy(network).requires_grad_(False), optimiser, [])


def _run_epoch(
    task: Task, schedule: Schedule, seed: int, state: _State, bar: tqdm[Any], on_step: OnStep | None
) -> None:
    rng = _seed(seed, task.name, state.epoch + 1)
    state.network.train()
    losses = []
    for index, batch in enumerate(task.batches(rng)):
        step = state.epoch * task.steps + index
        for group in state.optimiser.param_groups:
            group["lr"] = schedule.learning_rate * _warm_cosine(step, schedule.epochs * task.steps)
        losses.append(_train_step(task, state, batch))
        _blend(state.average, state.network, min(schedule.ema, (1 + step) / (10 + step)))
        bar.update()
        if on_step is not None:
            on_step(step + 1)
    state.epoch += 1
    row: Row = {"network": task.name, "epoch": state.epoch, "loss": float(np.mean(losses))}
    if state.epoch % schedule.measure_every == 0 or state.epoch == schedule.epochs:
        row |= task.measure(state.average.eval())
    state.rows.append(row)
    bar.set_postfix({key: f"{value:.4f}" for key, value in row.items() if isinstance(value, float)})


def _train_step(task: Task, state: _State, batch: Batch) -> float:
    loss = task.loss(state.network, batch)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    return float(loss.detach())


def _warm_cosine(step: int, total: int) -> float:
    warm = max(round(0.05 * total), 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


@torch.no_grad()
def _blend(average: nn.Module, network: nn.Module, keep: float) -> None:
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)

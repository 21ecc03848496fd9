"""The small networks that a simulated loop trains afresh in each round, and how they look at frames.

They are far smaller than the embedded model: what is compared are orders of labelling, over hundreds of trainings.
The start is learnt long; every later round begins from its weights, as the tool fine-tunes the model at hand. In a
training of seconds from random weights, more labels would change little.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from backends.embedded.framing import Framing, Gray
from backends.embedded.networks import ConvNormAct, Encoder, pooled
from backends.training.augment import Image, Jitter, as_image, jittered
from backends.training.simulation.data import Sample
from backends.training.simulation.measure import Score

Column = NDArray[np.float64]
_READ_AT_ONCE = 64


class Reading(NamedTuple):
    """What a network says of n frames: see annotator.selection.Pool; `disagreement` is None unless asked for."""

    uncertainty: Column
    disagreement: Column | None
    embeddings: NDArray[np.float32]
    structures: tuple[frozenset[str], ...]


class Learner(Protocol):
    """What a simulation needs of a model: to be taught, to look at frames, to be measured."""

    measure: str

    def describe(self) -> dict[str, Any]:
        """Return all that shapes its results, fit for JSON; a simulation goes on only under an equal one."""
        ...

    def fit(self, samples: Sequence[Sample], seed: int, turn: int, initial: nn.Module | None) -> nn.Module:
        """Train a copy of `initial`, or long from random weights; `turn` varies the order and augmentation."""
        ...

    def read(self, network: nn.Module, samples: Sequence[Sample], with_views: bool) -> Reading:
        """Look at frames; with augmented views where disagreement is asked for."""
        ...

    def score(self, network: nn.Module, samples: Sequence[Sample]) -> Score:
        """Measure against the truth."""
        ...


@dataclass(frozen=True)
class LearnerSettings:
    """The network and its training: `start_steps` batches for the start, `steps` after it, however many labels."""

    widths: tuple[int, ...] = (8, 16, 32, 48)
    decoder_widths: tuple[int, ...] = (24, 16)
    start_steps: int = 250
    steps: int = 80
    batch: int = 8
    learning_rate: float = 1e-2
    weight_decay: float = 0.02
    jitter: Jitter = field(default=Jitter(10, zoom=(0.87, 1.15), aspect=0.12, shift=0.06))


class PlainEncoder(Encoder):
    """The encoder without its residual blocks: half the time, which is mostly spent between small products."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(widths)
        pairs = pairwise((1, *widths))
        self.stages = nn.ModuleList(
            [ConvNormAct(*pair, kernel=5 if pair[0] == 1 else 3, stride=2) for pair in pairs]
        )


class NetworkLearner:
    """What both learners share: the seeded training loop, and where a varied frame lies on the grid."""

    size_wh: tuple[int, int]

    def __init__(self, structures: Sequence[str], settings: LearnerSettings) -> None:
        self.structures, self.settings = tuple(structures), settings

    def describe(self) -> dict[str, Any]:
        """Network, grid, structures and settings."""
        named = {"network": type(self).__name__, "size_wh": self.size_wh, "structures": self.structures}
        return {**named, **asdict(self.settings)}

    def fit(self, samples: Sequence[Sample], seed: int, turn: int, initial: nn.Module | None = None) -> nn.Module:
        """Train by AdamW under one cycle of the rate; equal arguments give equal weights on one machine."""
        torch.manual_seed(seed)
        steps = self.settings.start_steps if initial is None else self.settings.steps
        network = self.build(samples) if initial is None else copy.deepcopy(initial)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rng, rate = np.random.default_rng((seed, turn)), self.settings.learning_rate
        decay = self.settings.weight_decay
        optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
        network.train()
        for chosen in self._batches(samples, steps, rng):
            loss = self.loss(network, chosen, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        network.eval()
        return network

    def build(self, samples: Sequence[Sample]) -> nn.Module:
        """Return a fresh network; torch is seeded before."""
        raise NotImplementedError

    def loss(self, network: nn.Module, chosen: Sequence[Sample], rng: Generator) -> Tensor:
        """Return the loss of one augmented batch."""
        raise NotImplementedError

    def _batches(self, samples: Sequence[Sample], steps: int, rng: Generator) -> Iterator[list[Sample]]:
        wanted = steps * self.settings.batch
        rounds = [rng.permutation(len(samples)) for _ in range(-(-wanted // len(samples)))]
        rows = np.concatenate(rounds)[:wanted].reshape(steps, self.settings.batch)
        return ([samples[row] for row in batch] for batch in rows)

    def varied(self, rng: Generator) -> Framing:
        """Where the grid goes for one augmented frame."""
        return jittered(Framing(np.eye(2, 3), self.size_wh), self.settings.jitter, rng)


@dataclass(frozen=True)
class View:
    """A frame seen a little differently: `grid` moves it, `gain` and `gamma` change its light."""

    grid: Framing
    gain: float = 1.0
    gamma: float = 1.0

    def shown(self, pixels: Gray) -> Image:
        """(H, W) uint8 to float32 in 0..1."""
        light = self.gain * as_image(self.grid.warp(pixels)) ** np.float32(self.gamma)
        return np.asarray(np.clip(light, 0, 1), np.float32)

    def back(self) -> Framing:
        """The way from the view to the frame."""
        inverse = np.linalg.inv(self.grid.matrix[:, :2])
        return Framing(np.column_stack((inverse, -inverse @ self.grid.matrix[:, 2])), self.grid.size_wh)


def views(size_wh: tuple[int, int]) -> tuple[View, ...]:
    """Other light, a crop, a small turn. Nothing is flipped: left and right mean something to a reader."""
    middle = np.array(size_wh) / 2
    placed = []
    for zoom, turn_deg in ((1.0, 0.0), (1.12, 0.0), (1.0, 5.0)):
        angle = np.deg2rad(turn_deg)
        linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        placed.append(Framing(np.column_stack((linear, middle - linear @ middle)), size_wh))
    return View(placed[0], gain=1.15, gamma=0.8), View(placed[1]), View(placed[2], gamma=1.15)


def stacked(frames: Sequence[Image]) -> Tensor:
    """Frames (H, W) to (N, 1, H, W), gain and contrast evened out, from which a network learns faster."""
    batch = torch.from_numpy(np.stack(frames)[:, None])
    even = (batch - batch.mean(dim=(2, 3), keepdim=True)) / (batch.std(dim=(2, 3), keepdim=True) + 0.02)
    return even.contiguous(memory_format=torch.channels_last)


def batched(frames: Sequence[Image]) -> Iterator[Tensor]:
    """Frames to be read, so many at once that they fit into memory."""
    return (stacked(frames[start : start + _READ_AT_ONCE]) for start in range(0, len(frames), _READ_AT_ONCE))


def unit_length(features: Tensor) -> Tensor:
    """(N, C, H, W) of an encoder to (N, 2C) of length 1, so that distances mean unlikeness."""
    return nn.functional.normalize(pooled(features))

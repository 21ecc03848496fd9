"""Teaching the plane networks: heads of brain_planes, laid straight, starting from the head network's encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional

from annotator.schema import Ellipse
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded.framing import around_ellipse, letterbox
from backends.embedded.networks import PlaneNet
from backends.training.augment import Image, Jitter, jittered, relit
from backends.training.data import Example
from backends.training.loop import Batch


@dataclass(frozen=True)
class PlaneSettings:
    """The plane networks, their grid, and how far its crops are varied.

    A head may face left or right, but is never turned upside down: the half away from the probe is the clear
    one, and the lateral ventricle is sought there. `ridge` holds the weights of the gradients' linear rule down.
    """

    size_wh: tuple[int, int] = (128, 104)
    margin: float = 1.08
    widths: tuple[int, ...] = (16, 24, 48, 96)
    members: int = 5
    dropout: float = 0.3
    smoothing: float = 0.05
    ridge: float = 3e-4
    jitter: Jitter = field(default=Jitter(12, zoom=(0.88, 1.12), aspect=0.08, shift=0.05))


@dataclass(frozen=True)
class Head:
    """A frame of known plane and the head found in it, None where none was."""

    example: Example
    ellipse: Ellipse | None

    @property
    def plane(self) -> int:
        """Number of its plane in BRAIN_PLANES."""
        return BRAIN_PLANES.index(str(self.example.plane))


def folds(heads: Sequence[Head], members: int, seed: int) -> list[list[Head]]:
    """Deal the subjects out at random: fold k holds the heads that member k is not trained on."""
    subjects = sorted({head.example.subject for head in heads})
    order = np.random.default_rng(seed).permutation(len(subjects))
    fold_of = {subjects[i]: position % members for position, i in enumerate(order)}
    return [[head for head in heads if fold_of[head.example.subject] == fold] for fold in range(members)]


class PlaneTask:
    """One epoch shows every head once."""

    def __init__(
        self, heads: Sequence[Head], settings: PlaneSettings, batch: int, member: int, encoder: Mapping[str, Tensor]
    ) -> None:
        self.name = f"planes-{member}"
        self.heads, self.settings, self.batch, self.encoder = heads, settings, batch, encoder
        self.steps = max(len(heads) // batch, 1)

    def build(self) -> PlaneNet:
        """Return a network with the first stages of the head's encoder and a fresh classifier."""
        network = PlaneNet(self.settings.widths, len(BRAIN_PLANES), self.settings.dropout)
        network.encoder.load_state_dict({name: self.encoder[name] for name in network.encoder.state_dict()})
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield crops (N, 1, H, W) and planes (N,)."""
        order = rng.permutation(len(self.heads))
        for start in range(0, self.steps * self.batch, self.batch):
            heads = [self.heads[i] for i in order[start : start + self.batch]]
            crops = torch.from_numpy(np.stack([self._draw(head, rng) for head in heads])[:, None])
            planes = torch.tensor([head.plane for head in heads])
            yield crops.contiguous(memory_format=torch.channels_last), planes

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy with smoothed labels, since neighbouring planes pass into each other."""
        crops, planes = batch
        return functional.cross_entropy(network(crops), planes, label_smoothing=self.settings.smoothing)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Nothing: too few validation frames to follow a curve by; the left-out folds are judged at the end."""
        return {}

    def _draw(self, head: Head, rng: Generator) -> Image:
        return draw_crop(head, self.settings, rng)


def draw_crop(head: Head, settings: PlaneSettings, rng: Generator) -> Image:
    """A varied crop (H, W) of the head, of the whole frame where none was found."""
    height, width = head.example.pixels.shape
    grid = letterbox((width, height), settings.size_wh)
    if head.ellipse is not None:
        grid = around_ellipse(head.ellipse, settings.size_wh, settings.margin)
    return relit(jittered(grid, settings.jitter, rng).warp(head.example.pixels), rng)

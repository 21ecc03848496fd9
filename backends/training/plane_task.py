"""Teaching a plane network: heads of brain_planes, laid straight, starting from the head network's encoder."""

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
from backends.embedded_framing import around_ellipse, letterbox
from backends.networks import PlaneNet
from backends.training.augment import Image, Jitter, jittered, varied
from backends.training.data import Example
from backends.training.loop import Batch


@dataclass(frozen=True)
class PlaneSettings:
    """The plane network, its grid, and how far its crops are varied; a head may lie any way round."""

    size_wh: tuple[int, int] = (160, 128)
    margin: float = 1.1
    widths: tuple[int, ...] = (16, 24, 48, 96)
    members: int = 3
    dropout: float = 0.3
    smoothing: float = 0.05
    jitter: Jitter = field(default=Jitter(15, zoom=(0.85, 1.15), aspect=0.1, shift=0.06, flip_y=True))


@dataclass(frozen=True)
class Head:
    """A frame of known plane and the head found in it, None where none was."""

    example: Example
    ellipse: Ellipse | None


class PlaneTask:
    """One epoch draws as many heads as there are, each plane as often as the others."""

    def __init__(
        self, heads: Sequence[Head], settings: PlaneSettings, batch: int, member: int, encoder: Mapping[str, Tensor]
    ) -> None:
        self.name = f"planes-{member}"
        self.heads, self.settings, self.batch, self.encoder = heads, settings, batch, encoder
        self.steps = len(heads) // batch
        labels = np.array([BRAIN_PLANES.index(str(head.example.plane)) for head in heads])
        self.chance = 1.0 / np.bincount(labels, minlength=len(BRAIN_PLANES))[labels]

    def build(self) -> PlaneNet:
        """Return a network with the first stages of the head's encoder and a fresh classifier."""
        network = PlaneNet(self.settings.widths, len(BRAIN_PLANES), self.settings.dropout)
        own = network.encoder.state_dict()
        network.encoder.load_state_dict({name: self.encoder[name] for name in own})
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield crops (N, 1, H, W) and planes (N,)."""
        count = self.steps * self.batch
        order = rng.choice(len(self.heads), count, p=self.chance / self.chance.sum())
        for start in range(0, count, self.batch):
            heads = [self.heads[i] for i in order[start : start + self.batch]]
            crops = np.stack([self._draw(head, rng) for head in heads])[:, None]
            planes = torch.tensor([BRAIN_PLANES.index(str(head.example.plane)) for head in heads])
            yield torch.from_numpy(crops).contiguous(memory_format=torch.channels_last), planes

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy with smoothed labels, since neighbouring planes pass into each other."""
        crops, planes = batch
        return functional.cross_entropy(network(crops), planes, label_smoothing=self.settings.smoothing)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Nothing: 27 validation frames are too few to follow a curve by."""
        return {}

    def _draw(self, head: Head, rng: Generator) -> Image:
        pixels = head.example.pixels
        if head.ellipse is None:
            grid = letterbox((pixels.shape[1], pixels.shape[0]), self.settings.size_wh)
        else:
            grid = around_ellipse(head.ellipse, self.settings.size_wh, self.settings.margin)
        return varied(jittered(grid, self.settings.jitter, rng).warp(pixels), rng)

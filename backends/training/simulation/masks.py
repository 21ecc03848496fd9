"""The learner of masks, by HeadNet's layers; measured by Dice on the network's grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from backends.embedded.networks import HeadNet, enlarged
from backends.training.augment import Image, as_image, relit
from backends.training.losses import mask_loss
from backends.training.simulation.data import GRIDS, Sample
from backends.training.simulation.learners import (
    LearnerSettings,
    NetworkLearner,
    PlainEncoder,
    Reading,
    View,
    batched,
    stacked,
    unit_length,
    views,
)
from backends.training.simulation.measure import Score, mean_dice

Floats = NDArray[np.float32]
MASK_SETTINGS = LearnerSettings()


class MaskLearner(NetworkLearner):
    """One mask for each structure."""

    measure = "Dice"
    size_wh = GRIDS["masks"]

    def __init__(self, structures: Sequence[str], settings: LearnerSettings = MASK_SETTINGS) -> None:
        super().__init__(structures, settings)

    def build(self, samples: Sequence[Sample]) -> nn.Module:
        """A HeadNet with a mask for each structure."""
        network = HeadNet(self.settings.widths, self.settings.decoder_widths, views=1)
        network.encoder = PlainEncoder(self.settings.widths)
        network.mask = nn.Conv2d(self.settings.decoder_widths[-1], len(self.structures), 1)
        return network

    def loss(self, network: nn.Module, chosen: Sequence[Sample], rng: Generator) -> Tensor:
        """Cross-entropy and soft Dice of every structure's mask."""
        frames, masks = [], []
        for sample in chosen:
            grid = self.varied(rng)
            frames.append(relit(grid.warp(sample.pixels), rng))
            masks.append([as_image(grid.warp(mask * np.uint8(255))) for mask in sample.masks])
        truth = torch.from_numpy(np.array(masks, np.float32)).flatten(0, 1)[:, None]
        logits = network(stacked(frames)).mask.flatten(0, 1)[:, None]
        return mask_loss(logits, truth, torch.ones(len(truth)))

    def read(self, network: nn.Module, samples: Sequence[Sample], with_views: bool) -> Reading:
        """Uncertainty: one minus the Dice that a mask would have if its probabilities were right.

        Disagreement: one minus the soft Dice between the probabilities of the frame and of its views, laid back.
        """
        chances, embeddings = _look(network, [as_image(sample.pixels) for sample in samples])
        is_mask = np.asarray(chances > 0.5)
        expected = _soft_dice(chances, is_mask.astype(np.float32)).mean(axis=1)
        disagreement = None
        if with_views:
            agreements = [_soft_dice(chances, _laid_back(network, samples, view)) for view in views(self.size_wh)]
            disagreement = 1 - np.mean(agreements, axis=(0, 2))
        names = np.array(self.structures)
        found = tuple(frozenset(names[row].tolist()) for row in np.asarray(is_mask.any(axis=(2, 3))))
        return Reading(1 - expected, disagreement, embeddings, found)

    def score(self, network: nn.Module, samples: Sequence[Sample]) -> Score:
        """Mean Dice over frames and structures."""
        chances, _ = _look(network, [as_image(sample.pixels) for sample in samples])
        return mean_dice(chances > 0.5, samples)


def _laid_back(network: nn.Module, samples: Sequence[Sample], view: View) -> Floats:
    chances, _ = _look(network, [view.shown(sample.pixels) for sample in samples])
    back, levels = view.back(), np.asarray(chances * 255, np.uint8)
    return np.array([[as_image(back.warp(mask)) for mask in frame] for frame in levels], np.float32)


@torch.inference_mode()
def _look(network: nn.Module, frames: Sequence[Image]) -> tuple[Floats, Floats]:
    """(n, C, H, W) probabilities and (n, d) embeddings of unit length."""
    assert isinstance(network, HeadNet)
    masks, embeddings = [], []
    for batch in batched(frames):
        features = network.encoder(batch)
        masks.append(enlarged(network.mask(network.decoder(features)), batch).sigmoid().numpy())
        embeddings.append(unit_length(features[-1]).numpy())
    return np.concatenate(masks), np.concatenate(embeddings)


def _soft_dice(first: Floats, second: Floats) -> NDArray[np.float64]:
    """(n, C) of (n, C, H, W) in 0..1: twice the shared part over the sum; 0 where there is nothing."""
    shared = np.minimum(first, second).sum(axis=(2, 3), dtype=np.float64)
    total = (first + second).sum(axis=(2, 3), dtype=np.float64)
    return np.asarray(2 * shared / np.maximum(total, 1e-6), np.float64)

"""The learner of boxes, a small BoxNet; measured by mean AP at IoU .50 on the network's grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from backends.embedded.framing import Framing
from backends.embedded.networks import BoxNet
from backends.training.augment import Image, Jitter, as_image, relit
from backends.training.losses import STRIDE, cell_boxes, heat_loss, heat_targets, sides_loss
from backends.training.simulation.data import GRIDS, Sample
from backends.training.simulation.learners import (
    LearnerSettings,
    NetworkLearner,
    PlainEncoder,
    Reading,
    batched,
    stacked,
    unit_length,
    views,
)
from backends.training.simulation.measure import Score, average_precision_50

Boxes = NDArray[np.float64]
# Boxes do not turn, so neither do frames.
BOX_SETTINGS = LearnerSettings(
    widths=(8, 12, 24, 48),
    start_steps=200,
    steps=60,
    jitter=Jitter(0, zoom=(0.87, 1.15), aspect=0.1, shift=0.05, flip_x=False),
)
_SIDES_WEIGHT = 3.0
_FOUND = 0.3


class BoxLearner(NetworkLearner):
    """The hottest box of each structure, its heat as the score: these structures lie in a frame once."""

    measure = "AP@.50"
    size_wh = GRIDS["boxes"]

    def __init__(self, structures: Sequence[str], settings: LearnerSettings = BOX_SETTINGS) -> None:
        super().__init__(structures, settings)

    def build(self, samples: Sequence[Sample]) -> nn.Module:
        """A BoxNet that starts from the median size of each structure among what is labelled."""
        boxes = np.stack([sample.boxes for sample in samples])
        sizes = np.where(np.isnan(boxes[..., 2:]), np.nan, boxes[..., 2:] - boxes[..., :2])
        seen = ~np.isnan(sizes[..., 0]).all(axis=0)
        typical = np.tile(np.nanmedian(sizes, axis=(0, 1)), (len(seen), 1))
        typical[seen] = np.nanmedian(sizes[:, seen], axis=0)
        widths = self.settings.widths, self.settings.decoder_widths
        network = BoxNet(*widths, torch.tensor(typical, dtype=torch.float32))
        network.encoder = PlainEncoder(self.settings.widths)
        return network

    def loss(self, network: nn.Module, chosen: Sequence[Sample], rng: Generator) -> Tensor:
        """Heat of the centres, plus the sides around them."""
        frames, heats, boxes = [], [], []
        for sample in chosen:
            grid = self.varied(rng)
            placed = _placed(sample.boxes, grid)
            frames.append(relit(grid.warp(sample.pixels), rng))
            heats.append(heat_targets(placed, (self.size_wh[0] // STRIDE, self.size_wh[1] // STRIDE)))
            boxes.append(placed)
        heat, truth = torch.from_numpy(np.stack(heats)), torch.from_numpy(np.stack(boxes)).float()
        out = network(stacked(frames))
        return heat_loss(out.heat, heat) + _SIDES_WEIGHT * sides_loss(out.sides, truth, heat)

    def read(self, network: nn.Module, samples: Sequence[Sample], with_views: bool) -> Reading:
        """Uncertainty: one minus the mean heat of the structures, none of which need be there.

        Disagreement: one minus the mean IoU between the boxes of the frame and of its views, laid back.
        """
        scores, boxes, embeddings = _look(network, [as_image(sample.pixels) for sample in samples])
        disagreement = None
        if with_views:
            agreements = []
            for view in views(self.size_wh):
                _, seen, _ = _look(network, [view.shown(sample.pixels) for sample in samples])
                agreements.append(_agreement(boxes, _moved(seen, view.back())))
            disagreement = 1 - np.mean(agreements, axis=0)
        names = np.array(self.structures)
        found = tuple(frozenset(names[row].tolist()) for row in scores > _FOUND)
        return Reading(1 - scores.mean(axis=1), disagreement, embeddings, found)

    def score(self, network: nn.Module, samples: Sequence[Sample]) -> Score:
        """Mean AP at IoU .50 over structures, by pycocotools."""
        scores, boxes, _ = _look(network, [as_image(sample.pixels) for sample in samples])
        return average_precision_50(scores, boxes, samples)


@torch.inference_mode()
def _look(network: nn.Module, frames: Sequence[Image]) -> tuple[Boxes, Boxes, NDArray[np.float32]]:
    """(n, C) highest heat, (n, C, 4) its box on the grid, (n, d) embeddings of unit length."""
    assert isinstance(network, BoxNet)
    scores, boxes, embeddings = [], [], []
    for batch in batched(frames):
        features = network.encoder(batch)
        shared = network.decoder(features)
        heat, cell = network.heat(shared).sigmoid().flatten(2).max(dim=2)
        sides = network.sides(shared).clamp(-4, 4).exp() * network.typical_sides
        every = cell_boxes(sides.unflatten(1, (-1, 4)).movedim(2, -1)).flatten(2, 3)
        scores.append(heat.double().numpy())
        boxes.append(every.gather(2, cell[..., None, None].expand(-1, -1, 1, 4))[:, :, 0].double().numpy())
        embeddings.append(unit_length(features[-1]).numpy())
    return np.concatenate(scores), np.concatenate(boxes), np.concatenate(embeddings)


def _placed(boxes: Boxes, grid: Framing) -> Boxes:
    """(C, 4) under a map that does not turn, cut to the grid; absent where less than 0.6 is left."""
    corners = grid.to_grid(boxes.reshape(-1, 2)).reshape(-1, 2, 2)
    whole = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    cut = np.clip(whole, 0, np.tile(grid.size_wh, 2))
    left = np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.prod(whole[:, 2:] - whole[:, :2], axis=1)
    return np.where((left >= 0.6)[:, None], cut, np.nan)


def _moved(boxes: Boxes, grid: Framing) -> Boxes:
    """(n, C, 4) with centres moved and sizes scaled: a small turn leaves a box upright."""
    centres, sizes = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    scale = np.sqrt(np.linalg.det(grid.matrix[:, :2]))
    moved = grid.to_grid(centres.reshape(-1, 2)).reshape(centres.shape)
    return np.concatenate((moved - scale * sizes / 2, moved + scale * sizes / 2), axis=-1)


def _agreement(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(n,) mean IoU of (n, C, 4) boxes, pair by pair."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return np.asarray((shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)).mean(axis=1), np.float64)

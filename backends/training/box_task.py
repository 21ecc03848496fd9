"""Teaching the box network: the nine first-trimester structures of fetus_nt, and frames that hold none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from backends.embedded.framing import Framing, letterbox
from backends.embedded.networks import BoxNet
from backends.training.augment import Image, Jitter, as_image, jittered, varied
from backends.training.data import Example
from backends.training.loop import Batch
from backends.training.losses import STRIDE, cell_boxes, heat_loss, heat_targets, sides_loss

STRUCTURES = ("NT", "nasal_bone", "nasal_skin", "nasal_tip", "thalami", "midbrain", "palate", "IT", "CM")
Boxes = NDArray[np.float64]
BoxRow = tuple[Image, NDArray[np.float32], Boxes]


@dataclass(frozen=True)
class BoxSettings:
    """The box network, its grid, and what one epoch shows it; boxes do not turn, so neither do frames."""

    size_wh: tuple[int, int] = (384, 288)
    widths: tuple[int, ...] = (12, 24, 48, 80, 112)
    decoder_widths: tuple[int, ...] = (64, 40, 24)
    empty_per_epoch: int = 42
    sides_weight: float = 3.0
    visible_share: float = 0.6
    jitter: Jitter = field(default=Jitter(0, zoom=(0.75, 1.25), aspect=0.15, shift=0.1))


class BoxTask:
    """One epoch shows every first-trimester frame once and a few frames of the second trimester."""

    name = "boxes"

    def __init__(self, examples: Sequence[Example], settings: BoxSettings, batch: int) -> None:
        self.settings, self.batch = settings, batch
        self.train = [example for example in examples if example.split == "train" and example.boxes]
        self.empty = [example for example in examples if example.split == "train" and not example.boxes]
        self.validation = [example for example in examples if example.split == "val" and example.boxes]
        self.steps = (len(self.train) + min(settings.empty_per_epoch, len(self.empty))) // batch

    def build(self) -> BoxNet:
        """Return a fresh network that starts from each structure's median size on the grid."""
        boxes = np.stack([boxes_on_grid(example, self._grid(example)) for example in self.train])
        typical_wh = np.nanmedian(boxes[..., 2:] - boxes[..., :2], axis=0)
        typical = torch.tensor(typical_wh, dtype=torch.float32)
        return BoxNet(self.settings.widths, self.settings.decoder_widths, typical)

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield frames (N, 1, H, W), heat (N, C, H/4, W/4), and boxes (N, C, 4) on the grid, nan where absent."""
        empty = [self.empty[i] for i in rng.permutation(len(self.empty))[: self.settings.empty_per_epoch]]
        plan = [*self.train, *empty]
        plan = [plan[i] for i in rng.permutation(len(plan))]
        for start in range(0, self.steps * self.batch, self.batch):
            rows = [self._draw(example, rng) for example in plan[start : start + self.batch]]
            frames, heat, boxes = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
            yield frames[:, None].contiguous(memory_format=torch.channels_last), heat, boxes.float()

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Heat of the centres, plus the sides around them."""
        frames, heat, boxes = batch
        out = network(frames)
        return heat_loss(out.heat, heat) + self.settings.sides_weight * sides_loss(out.sides, boxes, heat)

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> dict[str, float]:
        """Share of the marked structures whose hottest box has IoU >= 0.5: of all, and of NT and the nasal ones."""
        hits: list[NDArray[np.float64]] = []
        for example in self.validation:
            grid = self._grid(example)
            out = network(torch.from_numpy(as_image(grid.warp(example.pixels))[None, None]))
            hottest = out.heat[0].flatten(1).argmax(dim=1)
            cells = cell_boxes(out.sides[0].movedim(1, -1)).flatten(1, 2)
            boxes = cells[torch.arange(len(STRUCTURES)), hottest].double().numpy()
            truth = boxes_on_grid(example, grid)
            hits.append(np.where(np.isnan(truth[:, 0]), np.nan, _iou(boxes, truth) >= 0.5))
        found = np.nanmean(np.stack(hits), axis=0)
        return {"recall_50": float(found.mean()), "recall_50_nt_nasal": float(found[:4].mean())}

    def _grid(self, example: Example) -> Framing:
        return letterbox((example.pixels.shape[1], example.pixels.shape[0]), self.settings.size_wh)

    def _draw(self, example: Example, rng: Generator) -> BoxRow:
        return draw_boxes(example, self._grid(example), self.settings, rng)


def draw_boxes(example: Example, grid: Framing, settings: BoxSettings, rng: Generator) -> BoxRow:
    """A varied frame (H, W) on the jittered grid, the heat (C, H/4, W/4) and the boxes (C, 4), nan where absent."""
    grid = jittered(grid, settings.jitter, rng)
    boxes = _visible(boxes_on_grid(example, grid), settings.size_wh, settings.visible_share)
    cells_wh = settings.size_wh[0] // STRIDE, settings.size_wh[1] // STRIDE
    return varied(grid.warp(example.pixels), rng), heat_targets(boxes, cells_wh), boxes


def boxes_on_grid(example: Example, grid: Framing) -> Boxes:
    """(C, 4) x_min, y_min, x_max, y_max on the grid in the order of STRUCTURES, nan where a structure is absent."""
    boxes = np.full((len(STRUCTURES), 4), np.nan)
    for row, structure in enumerate(STRUCTURES):
        if structure in example.boxes:
            corners = grid.to_grid(example.boxes[structure].reshape(2, 2))
            boxes[row] = np.concatenate((corners.min(axis=0), corners.max(axis=0)))
    return boxes


def _visible(boxes: Boxes, size_wh: tuple[int, int], least: float) -> Boxes:
    """Cut boxes to the grid; those of which less than the share `least` remains are taken as absent."""
    cut = np.clip(boxes, 0, np.tile(size_wh, 2))
    share = np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.where(share[:, None] >= least, cut, np.nan)


def _iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(C,) intersection over union of (C, 4) boxes, row by row."""
    shared_wh = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.prod(np.clip(shared_wh, 0, None), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))

"""What the three networks learn from corrections, each beginning as its parent and held near it.

Every batch is half corrections, half frames to rehearse on. An epoch shows each corrected frame about once, but
never fewer than `least_per_epoch` nor more than `most_per_epoch` of them, so that a training takes minutes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from backends.embedded.framing import letterbox
from backends.embedded.networks import BoxNet, HeadNet, PlaneNet
from backends.training.augment import Jitter
from backends.training.box_task import BoxSettings, draw_boxes
from backends.training.data import Example
from backends.training.finetune.rehearsal import (
    box_forgetting,
    class_forgetting,
    distance_from,
    head_forgetting,
    keep_norms,
    weights_of,
)
from backends.training.head_task import UNKNOWN_VIEW, draw_head, stack_frames
from backends.training.loop import Batch
from backends.training.losses import heat_loss, mask_loss, sides_loss
from backends.training.negatives import make_negative
from backends.training.plane_task import Head, PlaneSettings, draw_crop

Network = TypeVar("Network", bound=nn.Module)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Teaching:
    """How a network is taught; a checkpoint is only continued where all of it is the same, `origin` included.

    `origin` names the parent and the corrections by their hashes. `rehearsal` weighs the parent's answers, `anchor`
    the distance from its weights.
    """

    batch: int = 16
    least_per_epoch: int = 60
    most_per_epoch: int = 240
    rehearsal: float = 4.0
    anchor: float = 1e-3
    view_weight: float = 0.2
    sides_weight: float = 3.0
    negatives: float = 0.25
    head_jitter: Jitter = field(default=Jitter(30, zoom=(0.65, 1.3), aspect=0.2, shift=0.12, flip_y=True))
    origin: str = ""

    @property
    def half(self) -> int:
        """Corrections in a batch."""
        return max(self.batch // 2, 1)

    def steps(self, frames: int) -> int:
        """Batches of one epoch over so many corrected frames."""
        return -(-min(max(frames, self.least_per_epoch), self.most_per_epoch) // self.half)


class _FromParent:
    """What the tasks have in common: they start as their parent, and one epoch has so many batches."""

    def __init__(self, parent: nn.Module, frames: int, settings: Teaching) -> None:
        self.settings = settings
        self.parent = copy.deepcopy(parent).eval().requires_grad_(False)
        self._anchor = weights_of(self.parent)
        self.half, self.steps = settings.half, settings.steps(frames)

    def _start(self) -> Any:
        return copy.deepcopy(self.parent).requires_grad_(True)

    def _held(self, network: nn.Module) -> Tensor:
        return self.settings.anchor * distance_from(self._anchor, network)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Nothing: the versions are compared when both are finished."""
        return {}


class HeadLessons(_FromParent):
    """Outlines and kinds of frames, from corrections of which either is known."""

    name = "head"

    def __init__(
        self,
        parent: HeadNet,
        corrected: Sequence[Example],
        rehearsed: Sequence[Example],
        size_wh: tuple[int, int],
        settings: Teaching,
    ) -> None:
        super().__init__(parent, len(corrected), settings)
        self.corrected, self.rehearsed, self.size_wh = corrected, rehearsed, size_wh

    def build(self) -> HeadNet:
        """Return a copy of the parent."""
        network: HeadNet = self._start()
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield frames (N, 1, H, W), the corrections first, then masks, whether known, and views of these."""
        shown = _shown(self.corrected, self.steps * self.half, rng)
        for start in range(0, len(shown), self.half):
            rows = [self._draw(example, rng) for example in shown[start : start + self.half]]
            frames, masks, known, views = zip(*rows, strict=True)
            others = [self._draw(self._rehearsal(rng), rng)[0] for _ in range(self.half)]
            yield stack_frames([*frames, *others]), stack_frames(masks), torch.tensor(known), torch.tensor(views)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mask and kind on the corrections, the parent's answers on the others."""
        frames, masks, known, views = batch
        keep_norms(network)
        count, out = len(masks), network(frames)
        with torch.no_grad():
            before = self.parent(frames[count:])
        learnt = mask_loss(out.mask[:count], masks, known)
        learnt = learnt + self.settings.view_weight * _known_classes(out.view[:count], views)
        kept = head_forgetting(type(out)(out.mask[count:], out.view[count:]), before)
        return learnt + self.settings.rehearsal * kept + self._held(network)

    def _rehearsal(self, rng: Generator) -> Example:
        if rng.random() < self.settings.negatives:
            made = make_negative([*self.rehearsed, *self.corrected], rng, self.size_wh)
            return Example("made", "", "train", "", made, view="other")
        return self.rehearsed[int(rng.integers(len(self.rehearsed)))]

    def _draw(self, example: Example, rng: Generator) -> tuple[Any, Any, float, int]:
        return draw_head(example, self.size_wh, self.settings.head_jitter, rng)


class BoxLessons(_FromParent):
    """Boxes of the nine first-trimester structures."""

    name = "boxes"

    def __init__(
        self,
        parent: BoxNet,
        corrected: Sequence[Example],
        rehearsed: Sequence[Example],
        boxes: BoxSettings,
        settings: Teaching,
    ) -> None:
        super().__init__(parent, len(corrected), settings)
        self.corrected, self.rehearsed, self.boxes = corrected, rehearsed, boxes

    def build(self) -> BoxNet:
        """Return a copy of the parent."""
        network: BoxNet = self._start()
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield frames (N, 1, H, W), the corrections first, then heat and boxes of these."""
        shown = _shown(self.corrected, self.steps * self.half, rng)
        for start in range(0, len(shown), self.half):
            rows = [self._draw(example, rng) for example in shown[start : start + self.half]]
            frames, heat, boxes = zip(*rows, strict=True)
            others = [self._draw(example, rng)[0] for example in _drawn(self.rehearsed, self.half, rng)]
            yield stack_frames([*frames, *others]), _stacked(heat), _stacked(boxes)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Centres and sides on the corrections, the parent's answers on the others."""
        frames, heat, boxes = batch
        keep_norms(network)
        count, out = len(heat), network(frames)
        with torch.no_grad():
            before = self.parent(frames[count:])
        learnt = heat_loss(out.heat[:count], heat)
        learnt = learnt + self.settings.sides_weight * sides_loss(out.sides[:count], boxes, heat)
        kept = box_forgetting(type(out)(out.heat[count:], out.sides[count:]), before)
        return learnt + self.settings.rehearsal * kept + self._held(network)

    def _draw(self, example: Example, rng: Generator) -> tuple[Any, Any, Any]:
        grid = letterbox((example.pixels.shape[1], example.pixels.shape[0]), self.boxes.size_wh)
        return draw_boxes(example, grid, self.boxes, rng)


class PlaneLessons(_FromParent):
    """The brain plane of one member of the ensemble; the rule over fixed features stays as it is."""

    def __init__(
        self,
        parent: PlaneNet,
        corrected: Sequence[Head],
        rehearsed: Sequence[Head],
        member: int,
        planes: PlaneSettings,
        settings: Teaching,
    ) -> None:
        super().__init__(parent, len(corrected), settings)
        self.name, self.member = f"planes-{member}", member
        self.corrected, self.rehearsed, self.planes = corrected, rehearsed, planes

    def build(self) -> PlaneNet:
        """Return a copy of the parent."""
        network: PlaneNet = self._start()
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield crops (N, 1, H, W), the corrections first, and the planes of these."""
        shown = _shown(self.corrected, self.steps * self.half, rng)
        for start in range(0, len(shown), self.half):
            heads = shown[start : start + self.half]
            crops = [draw_crop(head, self.planes, rng) for head in heads]
            others = [draw_crop(head, self.planes, rng) for head in _drawn(self.rehearsed, self.half, rng)]
            yield stack_frames([*crops, *others]), torch.tensor([head.plane for head in heads])

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy on the corrections, the parent's answers on the others."""
        crops, planes = batch
        keep_norms(network)
        count, logits = len(planes), network(crops)
        with torch.no_grad():
            before = self.parent(crops[count:])
        learnt = functional.cross_entropy(logits[:count], planes, label_smoothing=self.planes.smoothing)
        kept = class_forgetting(logits[count:], before)
        return learnt + self.settings.rehearsal * kept + self._held(network)


def _shown(items: Sequence[Item], count: int, rng: Generator) -> list[Item]:
    """`count` of the items in random order, none a second time before all were taken."""
    order: list[int] = []
    while len(order) < count:
        order.extend(rng.permutation(len(items)).tolist())
    return [items[i] for i in order[:count]]


def _drawn(items: Sequence[Item], count: int, rng: Generator) -> list[Item]:
    return [items[i] for i in rng.integers(len(items), size=count)]


def _known_classes(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy over the rows whose class is known, 0 where none is."""
    cost = functional.cross_entropy(
        logits, classes, ignore_index=UNKNOWN_VIEW, label_smoothing=0.02, reduction="sum"
    )
    return cost / (classes != UNKNOWN_VIEW).sum().clamp(min=1)


def _stacked(arrays: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).float()

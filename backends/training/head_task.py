"""Teaching the head network: masks from hc18, the kind of frame from all sources and from made negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional

from annotator.geometry import dice
from backends.embedded.framing import framed, letterbox
from backends.embedded.networks import HeadNet
from backends.training.augment import Image, Jitter, as_image, jittered, varied
from backends.training.data import VIEWS, Example
from backends.training.loop import Batch
from backends.training.losses import mask_loss
from backends.training.negatives import make_negative

UNKNOWN_VIEW = -1
HeadRow = tuple[Image, Image, float, int]


@dataclass(frozen=True)
class HeadSettings:
    """The head network, its grid, and what one epoch shows it."""

    size_wh: tuple[int, int] = (256, 192)
    widths: tuple[int, ...] = (16, 24, 48, 96, 128)
    decoder_widths: tuple[int, ...] = (64, 48, 32)
    planes_per_epoch: int = 120
    profiles_per_epoch: int = 120
    negatives_per_epoch: int = 100
    view_weight: float = 0.2
    jitter: Jitter = field(default=Jitter(30, zoom=(0.65, 1.3), aspect=0.2, shift=0.12, flip_y=True))


class HeadTask:
    """One epoch shows every training head once and a share of the other frames."""

    name = "head"

    def __init__(self, examples: Sequence[Example], settings: HeadSettings, batch: int) -> None:
        self.settings, self.batch = settings, batch
        self.train = [example for example in examples if example.split == "train"]
        self.validation = [example for example in examples if example.split == "val"]
        self.steps = len(self._plan(np.random.default_rng(0))) // batch

    def build(self) -> HeadNet:
        """Return a fresh network."""
        return HeadNet(self.settings.widths, self.settings.decoder_widths, len(VIEWS))

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield frames (N, 1, H, W), masks (N, 1, H, W), whether the mask is known (N,), and the view (N,)."""
        plan = self._plan(rng)
        for start in range(0, self.steps * self.batch, self.batch):
            rows = [self._draw(example, rng) for example in plan[start : start + self.batch]]
            frames, masks, known, views = zip(*rows, strict=True)
            yield stack_frames(frames), stack_frames(masks), torch.tensor(known), torch.tensor(views)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mask loss plus the cross-entropy of the kind of frame."""
        frames, masks, known, views = batch
        out = network(frames)
        view_loss = functional.cross_entropy(out.view, views, label_smoothing=0.02)
        return mask_loss(out.mask, masks, known) + self.settings.view_weight * view_loss

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> dict[str, float]:
        """Mean Dice on the network's own grid, and the share of frames of the right kind."""
        overlaps, hits = list[float](), list[bool]()
        for example in self.validation:
            grid = letterbox((example.pixels.shape[1], example.pixels.shape[0]), self.settings.size_wh)
            out = network(stack_frames([as_image(framed(example.pixels, grid))]))
            if (view := view_number(example)) != UNKNOWN_VIEW:
                hits.append(bool(out.view.argmax() == view))
            if example.mask is not None:
                overlaps.append(dice(out.mask[0, 0].numpy() > 0, grid.warp(example.mask * 255) > 127))
        return {"dice": float(np.mean(overlaps or [0.0])), "view_accuracy": float(np.mean(hits or [False]))}

    def _plan(self, rng: Generator) -> list[Example | None]:
        """The frames of one epoch in random order; None stands for a negative yet to be made."""
        counts = {"brain_planes": self.settings.planes_per_epoch, "fetus_nt": self.settings.profiles_per_epoch}
        plan: list[Example | None] = [None] * self.settings.negatives_per_epoch
        for source in ("hc18", "brain_planes", "fetus_nt"):
            pool = [example for example in self.train if example.source == source]
            chosen = rng.permutation(len(pool))[: counts.get(source)]
            plan += [pool[i] for i in chosen]
        return [plan[i] for i in rng.permutation(len(plan))]

    def _draw(self, example: Example | None, rng: Generator) -> HeadRow:
        if example is None:
            made = make_negative(self.train, rng, self.settings.size_wh)
            example = Example("made", "", "train", "", made, view="other")
        return draw_head(example, self.settings.size_wh, self.settings.jitter, rng)


def draw_head(example: Example, size_wh: tuple[int, int], jitter: Jitter, rng: Generator) -> HeadRow:
    """A varied frame and its mask on the grid (H, W), 1 where the mask is known, and the number of its view."""
    grid = letterbox((example.pixels.shape[1], example.pixels.shape[0]), size_wh)
    grid = jittered(grid, jitter, rng)
    mask = grid.warp(example.mask * 255) if example.mask is not None else np.zeros(size_wh[::-1], np.uint8)
    frame = varied(grid.warp(example.pixels), rng)
    return frame, as_image(mask), float(example.knows_head), view_number(example)


def view_number(example: Example) -> int:
    """Number of its kind in VIEWS, UNKNOWN_VIEW where nobody knows."""
    return UNKNOWN_VIEW if example.kind is None else VIEWS.index(example.kind)


def stack_frames(images: Sequence[Image]) -> Tensor:
    """N images (H, W) to (N, 1, H, W)."""
    return torch.from_numpy(np.stack(images)[:, None]).contiguous(memory_format=torch.channels_last)

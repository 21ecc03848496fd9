"""Against forgetting: frames on which the fine-tuned networks shall go on to answer as their parent does.

The frames that the parent learnt from are not at hand where corrections are made. So simulated frames, made
negatives and the corrected frames' own texture are shown in random looks, and the parent's answers to them are the
target (learning without forgetting: Li and Hoiem 2016, arXiv:1606.09282). The weights are also held near the
parent's (L2-SP: Li et al. 2018, arXiv:1802.01483).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from annotator.geometry import ellipse_to_mask
from annotator.phantom import PLANES, simulate_frame
from annotator.taxonomy import FIRST_TRIMESTER_PLANE
from backends.embedded.networks import BoxNetOutput, HeadNetOutput
from backends.training.box_task import STRUCTURES
from backends.training.data import Example


def simulated_frames(count: int, seed: int) -> list[Example]:
    """Frames of all planes in turn, with what is known of them."""
    return [_simulated(number, seed) for number in range(count)]


def _simulated(number: int, seed: int) -> Example:
    frame = simulate_frame(PLANES[number % len(PLANES)], seed=1000 * (seed + 1) + number)
    size_wh = frame.pixels.shape[1], frame.pixels.shape[0]
    return Example(
        name=f"simulated-{number}",
        source="simulated",
        split="train",
        subject=f"{number}",
        pixels=frame.pixels,
        mask=None if frame.head is None else ellipse_to_mask(frame.head, size_wh).astype(np.uint8),
        boxes={name: np.array(box, np.float64) for name, box in frame.boxes_xyxy.items() if name in STRUCTURES},
        plane=frame.plane,
        view="first_trimester" if frame.plane == FIRST_TRIMESTER_PLANE else "brain",
    )


def keep_norms(network: nn.Module) -> None:
    """Leave the running statistics of the norms as the parent's: a few frames of one kind would bend them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def distance_from(parent: Mapping[str, Tensor], network: nn.Module) -> Tensor:
    """Sum of squared differences of all weights from the parent's, which `named_parameters` names."""
    parts = [((weight - parent[name]) ** 2).sum() for name, weight in network.named_parameters()]
    return torch.stack(parts).sum()


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights by name, without gradients."""
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def head_forgetting(out: HeadNetOutput, parent: HeadNetOutput) -> Tensor:
    """How far masks (N, 1, H, W) and kinds of frames (N, views) are from the parent's; 0 where equal."""
    return _binary_divergence(out.mask, parent.mask).mean() + class_forgetting(out.view, parent.view)


def box_forgetting(out: BoxNetOutput, parent: BoxNetOutput) -> Tensor:
    """How far centres (N, C, h, w) and, where the parent sees any, sides (N, C, 4, h, w) are from the parent's.

    Summed over the cells and averaged over frames and structures, as `heat_loss` is per box.
    """
    heat = _binary_divergence(out.heat, parent.heat).sum(dim=(2, 3)).mean()
    weight = parent.heat.sigmoid()
    off = (out.sides.log() - parent.sides.log()).abs().mean(dim=2)
    return heat + (weight * off).sum() / weight.sum().clamp(min=1.0)


def class_forgetting(logits: Tensor, parent: Tensor) -> Tensor:
    """Kullback-Leibler divergence of (N, K) class probabilities from the parent's, mean over N."""
    return functional.kl_div(
        logits.log_softmax(dim=1), parent.log_softmax(dim=1), reduction="batchmean", log_target=True
    )


def _binary_divergence(logits: Tensor, parent: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Bernoulli probabilities, element by element."""
    wanted = parent.sigmoid()
    cost = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return cost - functional.binary_cross_entropy_with_logits(parent, wanted, reduction="none")

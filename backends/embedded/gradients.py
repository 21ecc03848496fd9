"""A second opinion on the brain plane: histograms of oriented gradients under a linear rule.

With few hundred training frames such fixed features do as well as learnt ones, and they err on other frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_BINS = 9
_CELLS = ((8, 1.5), (16, 1.0))  # side of a cell and blur before it, in pixels of the crop
_SURROUND = 25


class GradientRule(nn.Module):
    """A linear rule over the standardised `gradient_features` of head crops of one size."""

    def __init__(self, size_wh: tuple[int, int], planes: int) -> None:
        super().__init__()
        count = gradient_features(torch.zeros(1, 1, size_wh[1], size_wh[0])).shape[1]
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.linear = nn.Linear(count, planes)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) features to (N, planes) logits."""
        logits: Tensor = self.linear(self.standardised(features))
        return logits

    def standardised(self, features: Tensor) -> Tensor:
        """(N, F) features with the mean and spread of the training frames taken out, rows of about unit length."""
        standard: Tensor = (features - self.mean) / (self.spread * features.shape[1] ** 0.5)
        return standard


def gradient_features(x: Tensor) -> Tensor:
    """(N, 1, H, W) to (N, F): blocks of 2 x 2 cells, after Dalal and Triggs 2005 (doi:10.1109/CVPR.2005.177)."""
    even = evened(x)
    return torch.cat([_histograms(blurred(even, blur), cell) for cell, blur in _CELLS], dim=1)


def evened(x: Tensor) -> Tensor:
    """(N, 1, H, W) with brightness and contrast of each pixel's surround taken out."""
    difference = x - _surround_mean(x)
    return difference / (_surround_mean(difference**2).sqrt() + 0.05)


def blurred(x: Tensor, deviation: float) -> Tensor:
    """(N, 1, H, W) under a Gaussian of that many pixels."""
    reach = round(3 * deviation)
    steps = torch.arange(-reach, reach + 1, dtype=x.dtype)
    weights = torch.exp(-0.5 * (steps / deviation) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(x, (reach, reach, reach, reach), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def _surround_mean(x: Tensor) -> Tensor:
    half = _SURROUND // 2
    rows = functional.avg_pool2d(x, (1, _SURROUND), 1, (0, half), count_include_pad=False)
    return functional.avg_pool2d(rows, (_SURROUND, 1), 1, (half, 0), count_include_pad=False)


def _histograms(x: Tensor, cell: int) -> Tensor:
    padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    dx = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    dy = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    # Each gradient is shared between the two nearest of nine orientations; opposite directions are one.
    turn = torch.atan2(dy, dx) / torch.pi * _BINS
    away = (turn - torch.arange(_BINS).view(1, -1, 1, 1) - 0.5 + _BINS / 2) % _BINS - _BINS / 2
    cells = functional.avg_pool2d((1 - away.abs()).clamp(min=0) * torch.hypot(dx, dy), cell)
    blocks = torch.cat([cells[..., :-1, :-1], cells[..., :-1, 1:], cells[..., 1:, :-1], cells[..., 1:, 1:]], dim=1)
    return _unit(_unit(blocks, 0.02).clamp(max=0.2), 1e-3).flatten(1)


def _unit(blocks: Tensor, floor: float) -> Tensor:
    scaled: Tensor = blocks / (blocks.norm(dim=1, keepdim=True) + floor)
    return scaled

"""The three small networks of the embedded model; all take gray (N, 1, H, W) in 0..1, sides multiples of 32."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backends.embedded.gradients import GradientRule


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, width_in: int, width_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNormAct(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        return functional.relu(x + self.second(self.first(x)))


class Encoder(nn.Module):
    """Feature maps at strides 2, 4, 8, ..., as many as `widths`; one residual block at each stride above 2."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        stages: list[nn.Module] = [ConvNormAct(1, widths[0], kernel=5, stride=2)]
        for width_in, width_out in pairwise(widths):
            stages.append(nn.Sequential(ConvNormAct(width_in, width_out, stride=2), Residual(width_out)))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 1, H, W) to one (N, width, H / stride, W / stride) per stage."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Walks the encoder's maps back up to the finest one given `widths`, U-Net style (arXiv:1505.04597)."""

    def __init__(self, encoder_widths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        width, skips = encoder_widths[-1], encoder_widths[-2::-1]
        self.merges = nn.ModuleList()
        for skip, width_out in zip(skips, widths, strict=False):
            squeeze = ConvNormAct(width + skip, width_out, kernel=1)
            self.merges.append(nn.Sequential(squeeze, ConvNormAct(width_out, width_out)))
            width = width_out

    def forward(self, features: list[Tensor]) -> Tensor:
        """Encoder maps, finest first, to one map (N, widths[-1], H', W')."""
        x = features[-1]
        for merge, skip in zip(self.merges, features[-2::-1], strict=False):
            x = merge(torch.cat((enlarged(x, skip), skip), dim=1))
        return x


class HeadNetOutput(NamedTuple):
    """Logits: `mask` (N, 1, H, W) of the head, `view` (N, views) of the kind of frame."""

    mask: Tensor
    view: Tensor


class HeadNet(nn.Module):
    """Head mask and kind of frame (brain, first trimester, other) from the whole frame."""

    def __init__(self, widths: tuple[int, ...], decoder_widths: tuple[int, ...], views: int) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.decoder = Decoder(widths, decoder_widths)
        self.mask = nn.Conv2d(decoder_widths[-1], 1, 1)
        self.view = nn.Linear(2 * widths[-1], views)

    def forward(self, x: Tensor) -> HeadNetOutput:
        """(N, 1, H, W) gray in 0..1."""
        features = self.encoder(x)
        mask = enlarged(self.mask(self.decoder(features)), x)
        return HeadNetOutput(mask, self.view(pooled(features[-1])))


class BoxNetOutput(NamedTuple):
    """Logits `heat` (N, C, h, w) of box centres; `sides` (N, C, 4, h, w) left, top, right, bottom in pixels."""

    heat: Tensor
    sides: Tensor


class BoxNet(nn.Module):
    """Anchor-free boxes at stride 4: a centre heat map per structure and the distances to the four sides.

    After CenterNet (arXiv:1904.07850) and TTFNet (arXiv:1909.00700), with sides per structure since the
    nasal structures overlap.
    """

    def __init__(self, widths: tuple[int, ...], decoder_widths: tuple[int, ...], typical_wh: Tensor) -> None:
        super().__init__()
        structures = len(typical_wh)
        self.encoder = Encoder(widths)
        self.decoder = Decoder(widths, decoder_widths)
        # A prior of 1 % per cell keeps the first steps stable; sides start at the typical ones.
        self.heat = _branch(decoder_widths[-1], structures, bias=-4.6)
        self.sides = _branch(decoder_widths[-1], structures * 4, bias=0.0)
        self.typical_sides: Tensor
        self.register_buffer("typical_sides", (typical_wh / 2).repeat(1, 2).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> BoxNetOutput:
        """(N, 1, H, W) gray in 0..1; the network says how far, in logarithms, sides are from the typical ones."""
        shared = self.decoder(self.encoder(x))
        heat = self.heat(shared)
        sides = self.sides(shared).clamp(-4, 4).exp() * self.typical_sides
        return BoxNetOutput(heat, sides.unflatten(1, (-1, 4)))


def _branch(width: int, width_out: int, bias: float) -> nn.Sequential:
    first, last = ConvNormAct(width, width), nn.Conv2d(width, width_out, 1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(first, last)


class PlaneNet(nn.Module):
    """Brain plane from a head crop that is aligned and scaled by its ellipse, by learnt features."""

    def __init__(self, widths: tuple[int, ...], planes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], planes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) gray in 0..1 to (N, planes) logits; gain and contrast of each crop are evened out first."""
        even = (x - x.mean(dim=(2, 3), keepdim=True)) / (x.std(dim=(2, 3), keepdim=True) + 0.02)
        logits: Tensor = self.classifier(pooled(self.encoder(even)[-1]))
        return logits


class PlanePair(nn.Module):
    """Two opinions on the brain plane of a head crop, by learnt and by fixed features, in equal shares."""

    def __init__(self, learnt: PlaneNet, fixed: GradientRule) -> None:
        super().__init__()
        self.learnt, self.fixed = learnt, fixed

    def forward(self, x: Tensor, gradients: Tensor) -> Tensor:
        """(N, 1, H, W) gray in 0..1 and its gradient features (N, F) to (N, planes): mean log probabilities."""
        opinions = torch.stack((self.learnt(x), self.fixed(gradients)))
        return opinions.log_softmax(dim=2).mean(dim=0)


def enlarged(features: Tensor, like: Tensor) -> Tensor:
    """Interpolate (N, C, h, w) to the height and width of `like`, cell edges on cell edges."""
    return functional.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


def pooled(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N, 2C): the mean and the maximum over the map."""
    return torch.cat((features.mean(dim=(2, 3)), features.amax(dim=(2, 3))), dim=1)

"""The linear rule over oriented gradients: convex, so there is nothing to schedule and no chance in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from annotator.taxonomy import BRAIN_PLANES
from backends.embedded.gradients import GradientRule, gradient_features
from backends.embedded.model import head_crop
from backends.training.augment import as_image
from backends.training.plane_task import Head, PlaneSettings

_ROUNDS = 100
_BATCH = 32


def fit_gradients(heads: Sequence[Head], settings: PlaneSettings) -> GradientRule:
    """Logistic regression with a ridge over each head and its mirror image, by L-BFGS from zero."""
    network = GradientRule(settings.size_wh, len(BRAIN_PLANES))
    features = _features(heads, settings)
    planes = torch.tensor([head.plane for head in heads]).repeat(2)
    network.mean, network.spread = features.mean(dim=0), features.std(dim=0) + 1e-3
    _solve(network, network.standardised(features), planes, settings.ridge)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def _features(heads: Sequence[Head], settings: PlaneSettings) -> Tensor:
    """(2N, F) of all heads, then of all mirror images."""
    crops = [head_crop(head.example.pixels, head.ellipse, settings.size_wh, settings.margin) for head in heads]
    upright = torch.stack([torch.from_numpy(as_image(crop))[None] for crop in crops])
    return torch.cat([gradient_features(part) for part in torch.cat((upright, upright.flip(-1))).split(_BATCH)])  # type: ignore[no-untyped-call]


def _solve(network: GradientRule, inputs: Tensor, planes: Tensor, ridge: float) -> None:
    weight, bias = network.linear.weight, network.linear.bias
    torch.nn.init.zeros_(weight)
    torch.nn.init.zeros_(bias)
    solver = torch.optim.LBFGS([weight, bias], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        solver.zero_grad()
        value = functional.cross_entropy(network.linear(inputs), planes) + 0.5 * ridge * (weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(cost)  # type: ignore[no-untyped-call]

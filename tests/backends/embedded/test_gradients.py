"""Oriented gradients: what they ignore, what they tell apart, and the linear rule over them."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from backends.embedded.gradients import GradientRule, blurred, evened, gradient_features
from backends.training.data import Example
from backends.training.gradient_rule import fit_gradients
from backends.training.plane_task import Head, PlaneSettings

SIZE_WH = (64, 48)


def stripes(angle_deg: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    turn = np.deg2rad(angle_deg)
    return (0.5 + 0.4 * torch.sin((x * np.cos(turn) + y * np.sin(turn)) * 0.8))[None, None]


def test_gain_and_brightness_are_evened_out() -> None:
    frame = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(evened(frame), evened(0.8 * frame + 0.1), atol=0.1)


def test_the_surround_is_a_plain_mean_of_the_pixels_that_exist() -> None:
    frame = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(1))
    counted = functional.avg_pool2d(frame, 25, 1, 12, count_include_pad=False)
    difference = frame - counted
    spread = functional.avg_pool2d(difference**2, 25, 1, 12, count_include_pad=False).sqrt() + 0.05
    assert torch.allclose(evened(frame), difference / spread, atol=1e-5)


def test_a_blur_keeps_the_mean_of_a_flat_frame() -> None:
    assert torch.allclose(blurred(torch.full((1, 1, 48, 64), 0.3), 1.5), torch.tensor(0.3), atol=1e-6)


def test_stripes_fill_the_orientation_across_them() -> None:
    features = gradient_features(stripes(0.0))[0]
    blocks = features[: (8 - 1) * (6 - 1) * 36].view(4, 9, -1).mean(dim=(0, 2))
    assert int(blocks.argmax()) in (0, 8)  # a horizontal gradient lies between the first and the last of nine
    turned = gradient_features(stripes(90.0))[0][: (8 - 1) * (6 - 1) * 36].view(4, 9, -1).mean(dim=(0, 2))
    assert int(turned.argmax()) == 4


def test_a_rule_starts_from_features_as_they_are() -> None:
    rule = GradientRule(SIZE_WH, 3)
    features = gradient_features(stripes(30.0))
    assert rule(features).shape == (1, 3)
    assert torch.equal(rule.standardised(features), features / features.shape[1] ** 0.5)


@pytest.mark.parametrize("angle_deg", [0.0, 45.0, 90.0])
def test_the_rule_learns_to_tell_textures_apart(angle_deg: float) -> None:
    planes = dict(zip((0.0, 45.0, 90.0), ("Trans-thalamic", "Trans-cerebellum", "Trans-ventricular"), strict=True))
    rng = np.random.default_rng(0)
    heads = [
        Head(Example(f"{angle}-{i}", "brain_planes", "train", "s", _noisy(angle, rng), plane=plane), None)
        for angle, plane in planes.items()
        for i in range(6)
    ]
    rule = fit_gradients(heads, PlaneSettings(SIZE_WH))
    crop = torch.from_numpy(_noisy(angle_deg, rng) / np.float32(255))[None, None]
    assert int(rule(gradient_features(crop)).argmax()) == list(planes).index(angle_deg)


def _noisy(angle_deg: float, rng: np.random.Generator) -> np.ndarray:
    frame = stripes(angle_deg)[0, 0].numpy() * 200 + rng.normal(0, 20, SIZE_WH[::-1])
    return np.clip(frame, 0, 255).astype(np.uint8)

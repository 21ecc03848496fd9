"""Frames are prepared as each teacher's authors prepared them, judged by other resampling code."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from backends.teachers.preprocessing import (
    PREPROCESSING,
    for_fetal_clip,
    for_ultra_fed_fm,
    for_ultra_sam,
    for_usf_mae,
)
from tests.builders import some_pixels

SIZES_WH = [(640, 480), (480, 640), (224, 224), (100, 90), (801, 533), (1100, 150)]
LEVEL = 1.001 / 255 / 0.224  # one grey level, as far apart as rounding in two resamplers may be
CLIP = np.array([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
SAM = np.array([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]])


def smooth(size_wh: tuple[int, int], *, colour: bool = False) -> NDArray[np.uint8]:
    """Noise over gentle hills, so that a shift by a pixel shows and rounding does not."""
    width, height = size_wh
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    hills = 120 + 60 * np.sin(x / 9.0) * np.cos(y / 7.0)
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3 if colour else 1))
    pixels = (hills[..., None] + noise).clip(0, 255).astype(np.uint8)
    return pixels if colour else pixels[..., 0]


def channels_first(pixels: NDArray[np.uint8]) -> torch.Tensor:
    colours = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)[None]


def resized(image: torch.Tensor, size_hw: tuple[int, int], **how: Any) -> torch.Tensor:
    return functional.interpolate(image, size_hw, align_corners=False, **how).clamp(0, 255).round()


def normalised(image: torch.Tensor, table: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    values = image[0].double().numpy() / scale
    return (values - table[0][:, None, None]) / table[1][:, None, None]


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("colour", [False, True])
def test_fetalclip_sees_the_whole_frame_in_a_black_square(size_wh: tuple[int, int], colour: bool) -> None:
    pixels = smooth(size_wh, colour=colour)
    width, height = size_wh
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    square = functional.pad(channels_first(pixels), (left, side - width - left, top, side - height - top))
    wanted = normalised(resized(square, (224, 224), mode="bicubic", antialias=True), CLIP, 255)
    np.testing.assert_allclose(for_fetal_clip(pixels, 224), wanted, atol=LEVEL)


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("colour", [False, True])
def test_ultrasam_sees_the_frame_in_the_upper_left_corner(size_wh: tuple[int, int], colour: bool) -> None:
    pixels = smooth(size_wh, colour=colour)
    scale = 1024 / max(size_wh)
    width, height = (int(side * scale + 0.5) for side in size_wh)
    image = resized(channels_first(pixels), (height, width), mode="bilinear", antialias=False)
    found = for_ultra_sam(pixels, 1024)
    assert found.shape == (3, 1024, 1024)
    np.testing.assert_allclose(found[:, :height, :width], normalised(image, SAM, 1), atol=1.001 / 57)
    assert not found[:, height:].any()
    assert not found[:, :, width:].any()


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("colour", [False, True])
def test_usf_mae_sees_the_frame_stretched_by_nearest_pixels(size_wh: tuple[int, int], colour: bool) -> None:
    pixels = smooth(size_wh, colour=colour)
    places = 2 * np.arange(224) + 1
    columns, rows = (places * side // 448 for side in size_wh)
    # the centre of a pixel that falls between two: either is the nearest
    clear_columns, clear_rows = (places * side % 448 != 0 for side in size_wh)
    wanted = normalised(channels_first(pixels[rows][:, columns]), IMAGENET, 255)
    clear = np.broadcast_to(clear_rows[:, None] & clear_columns, wanted.shape)
    assert clear.mean() > 0.5
    np.testing.assert_allclose(for_usf_mae(pixels, 224)[clear], wanted[clear], atol=1e-5)


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("colour", [False, True])
def test_ultrafedfm_sees_the_centre(size_wh: tuple[int, int], colour: bool) -> None:
    pixels = smooth(size_wh, colour=colour)
    scale = 256 / min(size_wh)
    width, height = (256 if side == min(size_wh) else int(side * scale) for side in size_wh)
    image = resized(channels_first(pixels), (height, width), mode="bicubic", antialias=True)
    left, top = round((width - 224) / 2), round((height - 224) / 2)
    wanted = normalised(image[..., top : top + 224, left : left + 224], IMAGENET, 255)
    np.testing.assert_allclose(for_ultra_fed_fm(pixels, 224), wanted, atol=LEVEL)


@pytest.mark.parametrize("name", PREPROCESSING)
def test_gray_is_shown_as_three_equal_channels(name: str) -> None:
    gray = some_pixels(4, (300, 200))
    side = 1024 if name == "ultra_sam" else 224
    as_colour = np.repeat(gray[..., None], 3, axis=2)
    found = PREPROCESSING[name](gray, side)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, PREPROCESSING[name](as_colour, side))

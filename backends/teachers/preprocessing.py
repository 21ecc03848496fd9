"""What each teacher is shown: frames as their authors prepared them, (3, side, side) float32.

Gray frames, (H, W) uint8, are prepared as gray and then shown as three equal channels.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Input = NDArray[np.float32]

CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# SAM's are the same figures times 255, rounded by its authors; kept as they publish them.
SAM_MEAN, SAM_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_MAE_SHORT_SIDE = 256 / 224


def for_fetal_clip(pixels: Pixels, side: int) -> Input:
    """Black borders make it a centred square, so that nothing is cropped; bicubic; CLIP's mean and deviation."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    square = np.zeros((longest, longest, *pixels.shape[2:]), np.uint8)
    top, left = (longest - height) // 2, (longest - width) // 2
    square[top : top + height, left : left + width] = pixels
    image = Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC)
    return _normalised(np.asarray(image), CLIP_MEAN, CLIP_DEVIATION, 255.0)


def for_ultra_sam(pixels: Pixels, side: int) -> Input:
    """Long side to `side`, bilinear without antialiasing as mmcv does; zeros at right and bottom."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size_wh = max(int(width * scale + 0.5), 1), max(int(height * scale + 0.5), 1)
    resized = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_LINEAR)
    found = np.zeros((3, side, side), np.float32)
    found[:, : size_wh[1], : size_wh[0]] = _normalised(resized.astype(np.uint8), SAM_MEAN, SAM_DEVIATION, 1.0)
    return found


def for_usf_mae(pixels: Pixels, side: int) -> Input:
    """Straight to the square, nearest neighbour, whatever the aspect."""
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
    return _normalised(np.asarray(image), IMAGENET_MEAN, IMAGENET_DEVIATION, 255.0)


def for_ultra_fed_fm(pixels: Pixels, side: int) -> Input:
    """Short side to 256 for a square of 224, bicubic, then the square at the centre: what lies outside is lost."""
    height, width = pixels.shape[:2]
    short = round(side * _MAE_SHORT_SIDE)
    long = int(short * max(height, width) / min(height, width))
    size_wh = (short, long) if width <= height else (long, short)
    image = Image.fromarray(pixels).resize(size_wh, Image.Resampling.BICUBIC)
    left, top = round((size_wh[0] - side) / 2.0), round((size_wh[1] - side) / 2.0)
    cropped = image.crop((left, top, left + side, top + side))
    return _normalised(np.asarray(cropped), IMAGENET_MEAN, IMAGENET_DEVIATION, 255.0)


def _normalised(image: Pixels, mean: tuple[float, ...], deviation: tuple[float, ...], scale: float) -> Input:
    colours = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    values = (colours.astype(np.float32) / scale - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


PREPROCESSING: dict[str, Callable[[Pixels, int], Input]] = {
    "fetal_clip": for_fetal_clip,
    "ultra_sam": for_ultra_sam,
    "usf_mae": for_usf_mae,
    "ultra_fed_fm": for_ultra_fed_fm,
}

"""A frame at the size that a model is shown, the same for every engine."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import FrameError

LONGEST_TO_SHORTEST = 200  # Qwen's image processors refuse thinner images


def reduced_image(pixels: NDArray[np.uint8], max_side_px: int, name: str) -> Image.Image:
    """Return (H, W) gray or (H, W, 3) RGB as an image of at most `max_side_px` on its long side.

    A frame that fits keeps exactly its own pixels. FrameError, with `name`, for what is no image.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise FrameError(name, f"expected uint8 (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    if min(height, width) < 1 or max(height, width) > LONGEST_TO_SHORTEST * min(height, width):
        raise FrameError(name, f"{width}x{height} px is too narrow a strip for the model")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = max_side_px / max(height, width)
    if scale < 1:
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(size_wh, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return image

"""A frame as a server gets it: one lossless PNG in a data URL, made once for all questions."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import FrameError

LONGEST_TO_SHORTEST = 200  # Qwen's image processors refuse thinner images


def image_data_url(pixels: NDArray[np.uint8], max_side_px: int, name: str = "frame") -> str:
    """Encode (H, W) gray or (H, W, 3) RGB as a PNG, reduced so that its long side is at most `max_side_px`.

    A frame that fits arrives with exactly its own pixels. FrameError, with `name`, for what is no image.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise FrameError(name, f"expected uint8 (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    if min(height, width) < 1 or max(height, width) > LONGEST_TO_SHORTEST * min(height, width):
        raise FrameError(name, f"{width}x{height} px is too narrow a strip for the model")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = max_side_px / max(height, width)
    if scale < 1:
        # in the way of the local engine, so that both show a model the same
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(size_wh, Image.Resampling.BICUBIC, reducing_gap=3.0)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")

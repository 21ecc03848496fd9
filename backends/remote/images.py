"""A frame as a server gets it: one lossless PNG in a data URL, made once for all questions."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from backends.reduced import reduced_image


def image_data_url(pixels: NDArray[np.uint8], max_side_px: int, name: str = "frame") -> str:
    """Encode (H, W) gray or (H, W, 3) RGB as a PNG, reduced so that its long side is at most `max_side_px`.

    A frame that fits arrives with exactly its own pixels. FrameError, with `name`, for what is no image.
    """
    stream = io.BytesIO()
    reduced_image(pixels, max_side_px, name).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")

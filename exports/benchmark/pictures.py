"""Small pictures of frames, to be embedded in a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 80


def thumbnail(pixels: NDArray[np.uint8], side_px: int = 360) -> str:
    """Return a JPEG as a data URL, of (H, W) or (H, W, 3) pixels, its longer side at most `side_px`."""
    image = Image.fromarray(pixels).convert("L" if pixels.ndim == 2 else "RGB")
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"

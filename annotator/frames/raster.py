"""PNG, JPEG and TIFF stills -> 8-bit pixels, upright, without metadata."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from annotator.errors import FrameError
from annotator.frames.records import Pixels, one_line, readable_name

FORMATS = ("PNG", "JPEG", "TIFF")
SMALLEST_SIDE = 16
_SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


def read_pixels(path: Path, *, max_pixels: int) -> Pixels:
    """Read one still image upright as uint8, (H, W) gray or (H, W, 3) RGB; FrameError says why one cannot be used.

    Gray stored as colour becomes gray. 16-bit values keep their highest eight used bits.
    """
    name = readable_name(path.name)
    try:
        content = path.read_bytes()
        if not content:
            raise FrameError(name, "the file is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of the file are judged below, by what can be decoded
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(name, image, max_pixels)
                return _upright_pixels(name, image)
    except UnidentifiedImageError:
        raise FrameError(name, "not a PNG, JPEG or TIFF image") from None
    except Image.DecompressionBombError as error:
        raise FrameError(name, f"too large: {error}") from None
    except FrameError:
        raise
    except Exception as error:  # on a damaged file Pillow's readers raise anything
        raise FrameError(name, f"damaged or unreadable: {one_line(error)}") from error


def _check_size(name: str, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise FrameError(
            name, f"{width}x{height} pixels are more than the {max_pixels:,} allowed (ANNOTATOR_MAX_PIXELS)"
        )
    if min(width, height) < SMALLEST_SIDE:
        raise FrameError(name, f"{width}x{height} pixels are too small, each side needs {SMALLEST_SIDE} or more")
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise FrameError(name, f"holds {pages} images; split it and import the stills")


def _upright_pixels(name: str, image: Image.Image) -> Pixels:
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BIT_MODES:
        return _to_eight_bits(np.asarray(upright).astype(np.int64))
    if upright.mode == "F":
        raise FrameError(name, "floating-point pixels; save it with 8 or 16 bits")
    if "A" in upright.getbands() or "transparency" in upright.info:
        opaque = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", opaque.size, (0, 0, 0, 255)), opaque)
    if upright.mode in ("L", "1"):
        return np.asarray(upright.convert("L"))
    colours = np.asarray(upright.convert("RGB"))
    is_gray = (colours[..., :1] == colours).all()
    return np.ascontiguousarray(colours[..., 0]) if is_gray else colours


def _to_eight_bits(values: NDArray[np.int64]) -> Pixels:
    shift = max(int(values.max(initial=0)).bit_length() - 8, 0)
    return (values.clip(min=0) >> shift).astype(np.uint8)

"""Images as they come -> de-identified frames: 8-bit pixels, no metadata, named by a hash of their content."""

import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from annotator.errors import FrameError, InputError
from annotator.files import write_atomically
from annotator.schema import Frame, LoadedFrame

Pixels = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
SMALLEST_SIDE = 16
_SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True)
class FrameFacts:
    """What the one who imports knows of a frame, beyond its pixels."""

    source: str = ""
    subject: str | None = None
    group: str | None = None
    site: str | None = None
    scanner: str | None = None
    split: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    simulated: bool = False


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return the PNG, JPEG and TIFF files named by or below `paths`, sorted; InputError where there are none."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        found.extend(_images_below(path) if path.is_dir() else [path])
    if not found:
        raise InputError(f"no PNG, JPEG or TIFF image in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(found))


def _images_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def read_pixels(path: Path, *, max_pixels: int) -> Pixels:
    """Read one still image upright as uint8, (H, W) gray or (H, W, 3) RGB; FrameError says why one cannot be used.

    Gray stored as colour becomes gray. 16-bit values keep their highest eight used bits.
    """
    name = path.name
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
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FrameError(name, f"damaged or unreadable: {error}") from error


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


def frame_id_of(pixels: Pixels) -> str:
    """Return the content hash: equal pixels have equal ids, whatever file they came in.

    >>> frame_id_of(np.zeros((2, 3), np.uint8))
    '304f694f9c587bd8855433e393102611'
    """
    digest = hashlib.sha256(f"{pixels.dtype}:{'x'.join(map(str, pixels.shape))}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]


def make_frame(pixels: Pixels, source_file: str, facts: FrameFacts) -> Frame:
    """Return the record of an image; only the last part of its name is kept, never the folders."""
    height, width = pixels.shape[:2]
    return Frame(
        frame_id=frame_id_of(pixels),
        width=width,
        height=height,
        source_file=Path(source_file).name,
        source=facts.source,
        subject=facts.subject,
        group=facts.group,
        site=facts.site,
        scanner=facts.scanner,
        split=facts.split,
        pixel_spacing_mm=facts.pixel_spacing_mm,
        simulated=facts.simulated,
    )


def save_pixels(pixels: Pixels, path: Path) -> None:
    """Write a PNG without metadata, whole or not at all; one that is there already is of the same content."""
    if path.exists():
        return
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    write_atomically(path, buffer.getvalue())


def load_frame(frame: Frame, image_path: Path) -> LoadedFrame:
    """Read a stored frame back; FrameError where its file is missing, damaged or holds other pixels."""
    try:
        with Image.open(image_path, formats=("PNG",)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError) as error:
        raise FrameError(frame.source_file, f"the stored image cannot be read: {error}") from error
    if frame_id_of(pixels) != frame.frame_id:
        raise FrameError(frame.source_file, f"the stored image {image_path.name} is not the one that was imported")
    return LoadedFrame(frame=frame, pixels=pixels)


def subject_from_name(name: str, pattern: str) -> str | None:
    """Return what `pattern` finds in a file name: its first group, or the whole match; None without a match.

    >>> subject_from_name("017_HC.png", r"^([0-9]+)")
    '017'
    """
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise InputError(f"--subject-from {pattern!r} is no regular expression: {error}") from error
    if match is None:
        return None
    return match.group(1) if match.re.groups else match.group(0)

"""Images as they come -> de-identified frames: 8-bit pixels, no metadata, named by a hash of their content."""

import hashlib
import io
import re
import unicodedata
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
_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, broken text, line ends
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
        found.extend(_images_below(path) if _is_folder(path) else [path])
    if not found:
        raise InputError(f"no PNG, JPEG or TIFF image in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(found))


def _is_folder(path: Path) -> bool:
    """Tell a folder from a file; InputError for what is neither, such as a pipe that would never end."""
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not exists:
        raise InputError(f"{path} does not exist")
    if not is_folder and not is_file:
        raise InputError(f"{path} is neither a file nor a folder")
    return is_folder


def _images_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


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
        raise FrameError(name, f"damaged or unreadable: {_one_line(error)}") from error


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


def readable_name(name: str) -> str:
    r"""Escape what a file system allows in a name and a line of UTF-8 text does not hold.

    >>> readable_name("two\nlines.png")
    'two\\nlines.png'
    """
    kinds = ((character, unicodedata.category(character)) for character in name)
    return "".join(
        character.encode("unicode_escape").decode("ascii") if kind in _NOT_IN_A_LINE else character
        for character, kind in kinds
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def make_frame(pixels: Pixels, source_file: str, facts: FrameFacts) -> Frame:
    """Return the record of an image; only the last part of its name is kept, never the folders."""
    height, width = pixels.shape[:2]
    return Frame(
        frame_id=frame_id_of(pixels),
        width=width,
        height=height,
        source_file=readable_name(Path(source_file).name),
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
            pixels = np.asarray(image) if image.size == frame.size_wh else None
    except Exception as error:  # on a damaged file Pillow's readers raise anything
        raise FrameError(frame.source_file, f"the stored image cannot be read: {_one_line(error)}") from error
    if pixels is None or frame_id_of(pixels) != frame.frame_id:
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

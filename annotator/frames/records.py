"""Frames as records: what is known of them, the hash that names them, their stored image."""

import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import FrameError, InputError
from annotator.files import write_atomically
from annotator.schema import Frame, LoadedFrame

Pixels = NDArray[np.uint8]

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, broken text, line ends


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


def one_line(error: Exception) -> str:
    """Return what an error says, on one line."""
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
        raise FrameError(frame.source_file, f"the stored image cannot be read: {one_line(error)}") from error
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

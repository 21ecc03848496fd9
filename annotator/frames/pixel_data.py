"""Where the pixel data of a DICOM file lie and how much is really there, without reading them (PS3.5 A.4)."""

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from annotator.frames.reports import DecodingError

_PIXEL_DATA, _ITEM, _END = (0x7FE0, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class PixelData:
    """Length in bytes of native data; for encapsulated data the frames its offset table lists and its fragments."""

    length: int
    encapsulated: bool = False
    offsets: int = 0
    fragments: int = 0

    def may_hold(self, declared: int) -> int:
        """Return how many frames to expect; decoding tells.

        >>> PixelData(0, True, fragments=3).may_hold(5), PixelData(0, True, offsets=4, fragments=9).may_hold(1)
        (3, 4)
        """
        return self.offsets or min(declared, self.fragments)


def find_pixel_data(stream: BinaryIO, header: Any) -> PixelData:
    """Look at what follows the header that was just read; DecodingError where no whole pixel data follow."""
    little = header.file_meta.TransferSyntaxUID.is_little_endian
    order = "<" if little else ">"
    tag = _read_tag(stream, order)
    if tag != _PIXEL_DATA:
        raise DecodingError("it holds no pixels")
    if header.file_meta.TransferSyntaxUID.is_implicit_VR:
        (length,) = struct.unpack(f"{order}I", _exactly(stream, 4))
    else:
        (length,) = struct.unpack(f"{order}4xI", _exactly(stream, 8))
    if length != _UNDEFINED:
        if header.file_meta.TransferSyntaxUID.is_encapsulated:
            raise DecodingError("its compressed pixels are not packed as they must be")
        if _left(stream) < length:
            raise DecodingError("it is cut off: less pixel data than it says")
        return PixelData(length)
    if not header.file_meta.TransferSyntaxUID.is_encapsulated:
        raise DecodingError("its pixels are packed as compressed ones, but said to be uncompressed")
    return _walk_fragments(stream)


def _walk_fragments(stream: BinaryIO) -> PixelData:
    offsets, fragments, total, is_first = 0, 0, 0, True
    while (tag := _read_tag(stream, "<")) != _END:
        (length,) = struct.unpack("<I", _exactly(stream, 4))
        if tag != _ITEM or _left(stream) < length:
            raise DecodingError("it is cut off or damaged within its pixel data")
        stream.seek(length, os.SEEK_CUR)
        if is_first:
            offsets, is_first = length // 4, False
        else:
            fragments, total = fragments + 1, total + length
    if not fragments:
        raise DecodingError("it holds no pixels")
    return PixelData(total, True, offsets, fragments)


def _read_tag(stream: BinaryIO, order: str) -> tuple[int, int]:
    content = stream.read(4)
    if not content:
        raise DecodingError("it holds no pixels, or is cut off before they end")
    group, element = struct.unpack(f"{order}HH", content.ljust(4, b"\0"))
    return group, element


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise DecodingError("it is cut off within its pixel data")
    return content


def _left(stream: BinaryIO) -> int:
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here

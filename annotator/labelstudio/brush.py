"""Label Studio's brush masks: the RLE of thi.ng/rle-pack over the RGBA pixels, in numpy alone.

A stream is a 32-bit count of values (4 a pixel), the word size - 1 in 5 bits, four run-length widths - 1 in 4 bits
each, then tokens: 1 bit "run", 2 bits choosing a width, length - 1 in that width, and one value for a run or
`length` values otherwise. It is not COCO's RLE. Streams made here are byte for byte those of label_studio_sdk.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import Mask

_WIDTHS = np.array([3, 4, 8, 16], np.int64)
_HEADER_BITS, _VALUE_BITS, _LONGEST_RUN = 53, 8, 65536
_HEADER_TAIL = (_VALUE_BITS - 1) << 16 | 2 << 12 | 3 << 8 | 7 << 4 | 15
_TOKEN = re.compile("1(?:00.{11}|01.{12}|10.{16}|11.{24})|000000.{8}|.")  # a run, one literal, or a stray bit
_SOLID = 128  # the browser softens edges; from here on a pixel counts as painted
_LARGEST_PIXELS = 1 << 28


def encode_mask(mask: Mask) -> list[int]:
    """Encode a (H, W) mask, any non-zero value being painted, as the numbers of Label Studio's `rle`."""
    flat = np.ascontiguousarray(np.asarray(mask, bool)).ravel()
    if flat.size == 0:
        raise ValueError("a mask without pixels has no brush stream")
    lengths, values = _runs(flat)
    codes = np.searchsorted([8, 16, 256], lengths)  # the narrowest width that holds the length
    if lengths.max() > _LONGEST_RUN:
        lengths, values, codes = _split_long_runs(lengths, values, codes)
    widths = _WIDTHS[codes]
    tokens = (((4 | codes) << widths | (lengths - 1)) << _VALUE_BITS) | values
    stream = _pack(tokens, widths + 3 + _VALUE_BITS)
    header = (flat.size * 4 << 21 | _HEADER_TAIL) << 3
    stream[:7] |= np.frombuffer(header.to_bytes(7, "big"), np.uint8)
    encoded: list[int] = stream.tolist()
    return encoded


def decode_mask(rle: Sequence[int], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode Label Studio's `rle` to a (H, W) bool mask: painted where alpha is 128 or more.

    Raises ValueError where the numbers are no stream, or one of another size.
    """
    try:
        stream = np.asarray(rle, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a brush stream must be a list of bytes") from None
    if stream.ndim != 1 or stream.size < 8 or stream.min() < 0 or stream.max() > 255:
        raise ValueError("a brush stream must be a list of at least 8 bytes, each 0..255")
    width, height = size_wh
    return decode_alpha(stream.astype(np.uint8), width * height).reshape(height, width) >= _SOLID


def decode_alpha(stream: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Decode a stream of RGBA pixels to their (pixels,) alpha; ValueError where it holds another number of them."""
    raw = stream.tobytes()
    header = int.from_bytes(raw[:7], "big") >> 3
    count = header >> 21
    if count != 4 * pixels or pixels > _LARGEST_PIXELS:
        raise ValueError(f"a brush stream of {count} values does not fit {pixels} pixels of 4 values")
    if header & 0x1FFFFF == _HEADER_TAIL:
        alpha = _decode_common(stream, raw, count)
        if alpha is not None:
            return alpha
    return _decode_any(raw, count)[3::4]


def _runs(flat: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths (in values, 4 a pixel) and values (0 or 255) of the runs of a flat mask."""
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = 4 * np.diff(edges, prepend=0, append=flat.size)
    values = np.zeros(lengths.size, np.int64)
    values[0 if flat[0] else 1 :: 2] = 255  # runs of a two-valued mask alternate
    return lengths.astype(np.int64), values


def _split_long_runs(
    lengths: NDArray[np.int64], values: NDArray[np.int64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut runs that 16 bits cannot hold: full pieces first; the rest keeps the widest form, as the SDK does."""
    full = (lengths - 1) // _LONGEST_RUN
    last = np.cumsum(full + 1) - 1
    rest = lengths - full * _LONGEST_RUN
    codes, values = np.where(full > 0, 3, codes).repeat(full + 1), values.repeat(full + 1)
    lengths = np.full(int(last[-1]) + 1, _LONGEST_RUN)
    lengths[last] = rest
    return lengths, values, codes


def _pack(tokens: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Write tokens of `sizes` bits one after the other behind the header; the header itself stays zero."""
    ends = np.cumsum(sizes) + _HEADER_BITS
    starts = ends - sizes
    # A token is at most 27 bits, so it fits the 5-byte window that begins at its first byte.
    windows = (tokens << (40 - starts % 8 - sizes)).astype(">i8").view(np.uint8).reshape(-1, 8)[:, 3:]
    size = int(ends[-1]) // 8 + 1  # the SDK pads 1 to 8 bits, a whole byte where nothing was missing
    stream = np.zeros(size + 8, np.uint8)
    for parity in (0, 1):  # every second token starts at least 3 bytes on, so no index repeats within one pass
        first_byte, parts = starts[parity::2] // 8, windows[parity::2]
        for offset in range(5):
            stream[first_byte + offset] |= parts[:, offset]
    return stream[:size]


def _decode_common(stream: NDArray[np.uint8], raw: bytes, count: int) -> NDArray[np.uint8] | None:
    """Decode a stream of the usual widths whose literals are single, or None where it is not of that form."""
    found = _TOKEN.findall(f"{int.from_bytes(raw, 'big'):0{len(raw) * 8}b}", _HEADER_BITS)
    sizes = np.fromiter(map(len, found), np.int64, len(found))
    strays = np.flatnonzero(sizes == 1)  # padding, or a token of another form
    sizes = sizes[: strays[0]] if strays.size else sizes
    starts = _HEADER_BITS + np.cumsum(sizes) - sizes
    padded = np.concatenate([stream, np.zeros(8, np.uint8)])
    windows = np.zeros(sizes.size, np.int64)
    for offset in range(5):
        windows = windows << 8 | padded[starts // 8 + offset]
    windows >>= 40 - starts % 8 - sizes
    lengths = (windows >> _VALUE_BITS & (1 << sizes - 3 - _VALUE_BITS) - 1) + 1
    totals = np.cumsum(lengths)
    used = int(np.searchsorted(totals, count)) + 1  # what follows is padding
    if used > totals.size or totals[used - 1] != count:
        return None
    values, lengths = (windows[:used] & 255).astype(np.uint8), lengths[:used]
    if not (lengths % 4).any():
        return values.repeat(lengths // 4)
    return values.repeat(lengths)[3::4]


def _decode_any(raw: bytes, count: int) -> NDArray[np.uint8]:
    """Decode any valid stream, token by token: slow and plain."""
    bits = _BitReader(raw)
    bits.take(32)
    word = bits.take(5) + 1
    widths = [bits.take(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        is_run, width = bits.take(1), widths[bits.take(2)]
        length = min(bits.take(width) + 1, count - done)
        if is_run:
            values[done : done + length] = bits.take(word) & 255
        else:
            values[done : done + length] = [bits.take(word) & 255 for _ in range(length)]
        done += length
    return values


class _BitReader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._cursor = 0

    def take(self, bits: int) -> int:
        """Read the next `bits` (at most 32) as a number; ValueError past the end."""
        start, self._cursor = self._cursor, self._cursor + bits
        if self._cursor > len(self._raw) * 8:
            raise ValueError("the brush stream ends too early")
        chunk = int.from_bytes(self._raw[start // 8 : start // 8 + 5].ljust(5, b"\0"), "big")
        return chunk >> 40 - start % 8 - bits & (1 << bits) - 1

"""Label Studio's brush masks: the RLE of thi.ng/rle-pack over the RGBA pixels, in numpy alone.

A stream is a 32-bit count of values (4 a pixel), the word size - 1 in 5 bits, four run-length widths - 1 in 4 bits
each, then tokens: 1 bit "run", 2 bits choosing a width, length - 1 in that width, and one value for a run or
`length` values otherwise. It is not COCO's RLE. Streams made here are byte for byte those of label_studio_sdk.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import Mask, run_lengths

_WIDTHS = np.array([3, 4, 8, 16], np.int64)
_LONGEST = np.array([8, 16, 256], np.int64)  # of the first three
_HEADER_BITS, _VALUE_BITS, _LONGEST_RUN = 53, 8, 65536
_HEADER_TAIL = (_VALUE_BITS - 1) << 16 | 2 << 12 | 3 << 8 | 7 << 4 | 15
# Bits of a token by its first six: one literal, or a run in one of the four widths; 0 for what is read bit by bit.
_TOKEN_BITS = bytes([14, *31 * [0], *8 * [14], *8 * [15], *8 * [19], *8 * [27]]).ljust(256, b"\0")
_SOLID = 128  # the browser softens edges; from here on a pixel counts as painted
_LARGEST_PIXELS = 1 << 28


def encode_mask(mask: Mask) -> list[int]:
    """Encode a (H, W) mask, any non-zero value being painted, as the numbers of Label Studio's `rle`."""
    flat = np.ascontiguousarray(np.asarray(mask, bool)).ravel().view(np.uint8)
    if flat.size == 0:
        raise ValueError("a mask without pixels has no brush stream")
    lengths, values = _runs(flat)
    codes = np.searchsorted(_LONGEST, lengths)  # the narrowest width that holds the length
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
    width, height = size_wh
    raw = _as_bytes(rle)
    header = int.from_bytes(raw[:7], "big") >> 3
    count, pixels = header >> 21, width * height
    if count != 4 * pixels or pixels > _LARGEST_PIXELS:
        raise ValueError(f"a brush stream of {count} values does not fit {pixels} pixels of 4 values")
    painted = _decode_common(raw, count) if header & 0x1FFFFF == _HEADER_TAIL else None
    if painted is None:
        painted = _decode_any(raw, count)[3::4] >= _SOLID
    return painted.reshape(height, width)


def _as_bytes(rle: Sequence[int]) -> bytes:
    try:
        raw = bytes(rle) if isinstance(rle, list | tuple) else None
    except (TypeError, ValueError):
        raw = None
    if raw is None or len(raw) < 8:
        raise ValueError("a brush stream must be a list of at least 8 bytes, each 0..255")
    return raw


def _runs(flat: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths (in values, 4 a pixel) and values (0 or 255) of the runs of a flat mask of 0 and 1."""
    lengths = 4 * run_lengths(flat)
    values = np.zeros(lengths.size, np.int64)
    values[0 if flat[0] else 1 :: 2] = 255  # runs of a two-valued mask alternate
    return lengths, values


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
    words = np.zeros(int(ends[-1]) // 64 + 2, np.uint64)
    # A token lies in the word of 64 bits in which it begins, and may run over into the next.
    word, over = starts >> 6, (starts & 63) + sizes - 64
    firsts = np.flatnonzero(np.diff(word, prepend=-1))
    here = np.where(over > 0, tokens >> np.maximum(over, 0), tokens << np.maximum(-over, 0)).view(np.uint64)
    words[word[firsts]] = np.bitwise_or.reduceat(here, firsts)
    running = np.flatnonzero(over > 0)
    words[word[running] + 1] |= tokens[running].view(np.uint64) << (64 - over[running]).view(np.uint64)
    size = int(ends[-1]) // 8 + 1  # the SDK pads 1 to 8 bits, a whole byte where nothing was missing
    return words.astype(">u8").view(np.uint8)[:size]


def _decode_common(raw: bytes, count: int) -> NDArray[np.bool_] | None:
    """Decode a stream of the usual widths whose literals are single, or None where it is not of that form."""
    starts = _token_starts(raw)
    padded = np.frombuffer(raw + bytes(8), np.uint8)
    windows = np.ndarray((len(raw) + 1,), ">u8", padded, strides=(1,))[starts >> 3].astype(np.int64)
    sizes = np.diff(starts, append=0)  # the last place is where the tokens end
    starts, sizes, windows = starts[:-1], sizes[:-1], windows[:-1]
    windows = windows >> (64 - (starts & 7) - sizes)
    lengths = (windows >> _VALUE_BITS & (1 << sizes - 3 - _VALUE_BITS) - 1) + 1
    totals = np.cumsum(lengths)
    used = int(np.searchsorted(totals, count)) + 1  # what follows is padding
    if used > totals.size or totals[used - 1] != count:
        return None
    painted, lengths = (windows[:used] & 255) >= _SOLID, lengths[:used]
    if (lengths & 3).any():
        return np.asarray(painted.repeat(lengths)[3::4], np.bool_)
    return np.asarray(painted.repeat(lengths >> 2), np.bool_)


def _token_starts(raw: bytes) -> NDArray[np.int64]:
    """Where each token begins, in bits, up to the first of another form, and where the last one ends."""
    bits = np.unpackbits(np.frombuffer(raw + b"\0", np.uint8))
    heads = bits[:-5] << 1 | bits[1:-4]
    for offset in range(2, 6):
        heads = heads << 1 | bits[offset : bits.size - 5 + offset]
    end = len(raw) * 8
    sizes = heads.tobytes().translate(_TOKEN_BITS)[:end] + bytes(27)  # no token begins behind the end
    starts, place = list[int](), _HEADER_BITS
    note = starts.append
    while size := sizes[place]:
        note(place)
        place += size
    if place > end:  # cut off within a token
        place = starts.pop()
    return np.array([*starts, place], np.int64)


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

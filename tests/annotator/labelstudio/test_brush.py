"""Brush masks: byte for byte what Label Studio's own SDK writes, read back whoever wrote them."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle
from numpy.typing import NDArray

from annotator.labelstudio.brush import decode_mask, encode_mask

SMALL_MASKS = of.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))
ALPHAS = of.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def a_ragged_head(size_hw: tuple[int, int] = (540, 800)) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    noise = np.random.default_rng(0).normal(0, 0.004, size_hw)
    return np.asarray(np.hypot((rows - 270) / 170, (columns - 400) / 220) + noise < 1)


def a_painted_stream(alpha: NDArray[np.uint8]) -> list[int]:
    """As a browser sends it: the colour of the label, and soft edges in the fourth channel."""
    rgba = np.dstack([np.full_like(alpha, value) for value in (31, 119, 228)] + [alpha])
    return [int(byte) for byte in encode_rle(rgba.ravel())]


@given(SMALL_MASKS)
def test_streams_are_those_of_the_sdk_and_come_back(mask: NDArray[np.bool_]) -> None:
    stream = encode_mask(mask)
    assert stream == list(mask2rle(mask * np.uint8(255)))
    assert (decode_mask(stream, mask.shape[::-1]) == mask).all()


@pytest.mark.parametrize(
    "mask",
    [
        a_ragged_head(),
        np.zeros((540, 800), bool),
        np.ones((540, 800), bool),
        np.ones((1, 1), bool),
        np.eye(300, dtype=bool),
    ],
    ids=["ragged", "empty", "full", "one pixel", "diagonal"],
)
def test_large_and_odd_masks_are_those_of_the_sdk_too(mask: NDArray[np.bool_]) -> None:
    stream = encode_mask(mask)
    assert stream == list(mask2rle(mask * np.uint8(255)))
    assert (decode_mask(stream, mask.shape[::-1]) == mask).all()


@given(ALPHAS)
def test_soft_edges_count_from_half_on(alpha: NDArray[np.uint8]) -> None:
    stream = a_painted_stream(alpha)
    theirs = decode_rle(stream).reshape(*alpha.shape, 4)[..., 3]
    assert (theirs == alpha).all()
    assert (decode_mask(stream, alpha.shape[::-1]) == (alpha >= 128)).all()


def test_several_literal_values_in_one_token_are_read() -> None:
    header = 4 << 21 | 7 << 16 | 2 << 12 | 3 << 8 | 7 << 4 | 15
    one_pixel = (header << 38 | 0b000011 << 32 | 0x01020380) << 5
    assert decode_mask(list(one_pixel.to_bytes(12, "big")), (1, 1)).all()


def test_other_run_length_widths_are_read() -> None:
    header = f"{4:032b}{7:05b}" + 4 * f"{7:04b}"  # four values of 8 bits, all lengths in 8 bits
    run = f"100{3:08b}{200:08b}"
    bits = (header + run).ljust(80, "0")
    assert decode_mask(list(int(bits, 2).to_bytes(10, "big")), (1, 1)).all()


STREAM = encode_mask(np.eye(4, dtype=bool))


@pytest.mark.parametrize(
    ("stream", "size_wh"),
    [
        (STREAM, (4, 5)),  # of another size
        (STREAM, (2, 2)),
        (STREAM[:9], (4, 4)),  # cut off
        ([], (4, 4)),
        ([0] * 6, (4, 4)),
        ([0] * 20, (4, 4)),  # no values at all
        ([300, *STREAM[1:]], (4, 4)),  # not bytes
        ([-1, *STREAM[1:]], (4, 4)),
        (["a", "b"], (4, 4)),
        ([[1, 2], [3]], (4, 4)),
        (None, (4, 4)),
        ("rle", (4, 4)),
        ([255] * 12, (4, 4)),  # says that it holds four billion values
        ([float("nan")] * 12, (4, 4)),
    ],
)
def test_what_is_no_stream_of_the_size_is_refused(stream: Any, size_wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="brush stream"):
        decode_mask(stream, size_wh)


def test_a_mask_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="without pixels"):
        encode_mask(np.zeros((0, 4), bool))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_junk_is_a_value_error_or_a_mask_and_nothing_else(junk: list[int]) -> None:
    header = list((64 << 21 | 7 << 16 | 2 << 12 | 3 << 8 | 7 << 4 | 15).to_bytes(7, "big"))
    with suppress(ValueError):
        assert decode_mask([*header, *junk], (4, 4)).shape == (4, 4)

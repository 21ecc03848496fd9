"""Burned-in text: found in 200 frames that clinics might have written, masked, and what is unsure is said."""

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.deidentify.burned_in_text import TextFound, find_text, masked, union_of
from annotator.deidentify.scan_area import scan_area
from annotator.deidentify.text_network import text_probability
from annotator.phantom import PLANES, simulate_frame
from tests.annotator.deidentify.written import Written, font_writer, stroke_writer, write_frame

FRAMES = 200
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
WRITERS = [
    font_writer(None),
    *(
        font_writer(FONTS / f"{name}.ttf")
        for name in ("STIXGeneral", "STIXGeneralBol", "DejaVuSans", "DejaVuSansMono")
    ),
    *(font_writer(FONTS / f"{name}.ttf") for name in ("DejaVuSerif", "cmss10", "cmtt10")),
    *(stroke_writer(face) for face in (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)),
]


@cache
def background(number: int) -> NDArray[np.uint8]:
    """A simulated frame, its own burned-in mark and gray bar blacked out."""
    pixels = simulate_frame(PLANES[number % len(PLANES)], seed=900 + number, size_wh=(560, 400)).pixels.copy()
    pixels[:28, -140:] = 0
    return pixels


@cache
def written(number: int) -> Written:
    return write_frame(background(number % 16), np.random.default_rng([7, number]), WRITERS)


@cache
def found(number: int) -> TextFound:
    return find_text(written(number).pixels)


def share_masked(ink: NDArray[np.bool_], text: TextFound) -> float:
    return float(text.mask[ink].mean())


def test_at_least_98_percent_of_the_lines_are_masked() -> None:
    shares = [share_masked(ink, found(number)) for number in range(FRAMES) for _, ink in written(number).lines]
    assert len(shares) > 5 * FRAMES
    assert np.mean([share >= 0.95 for share in shares]) >= 0.98


def test_on_average_at_most_one_percent_of_the_scan_is_touched_beside_the_text() -> None:
    touched = []
    for number in range(FRAMES):
        area = scan_area(background(number % 16))
        text = written(number).pixels != background(number % 16)
        near = cv2.dilate(text.astype(np.uint8), np.ones((7, 7))).astype(bool)
        touched.append((found(number).mask & area & ~near).sum() / area.sum())
    assert np.mean(touched) <= 0.01


def test_a_frame_without_text_is_left_as_it_is() -> None:
    texts = [find_text(background(number)) for number in range(16)]
    clean = [number for number, text in enumerate(texts) if not text.boxes_xyxy]
    assert len(clean) >= 13
    assert all(masked(background(number), texts[number]) is background(number) for number in clean)
    assert np.mean([text.scan_share for text in texts]) < 0.001
    assert not any(text.reasons for text in texts)


def test_masked_text_is_black_and_the_rest_untouched() -> None:
    before, text = written(3).pixels, found(3)
    after = masked(before, text)
    assert not after[text.mask].any()
    np.testing.assert_array_equal(after[~text.mask], before[~text.mask])
    assert text.boxes_xyxy


@pytest.mark.parametrize("colour", [(255, 255, 0), (80, 255, 120), (60, 60, 255)])
def test_coloured_text_is_found(colour: tuple[int, int, int]) -> None:
    pixels = np.repeat(background(0)[..., None], 3, axis=2)
    ink = font_writer(None)("MUSTERFRAU, Erika", 15)
    area = pixels[6 : 6 + ink.shape[0], 8 : 8 + ink.shape[1]]
    area[:] = area + (ink[..., None] * (np.array(colour) - area.astype(float))).astype(np.uint8)
    assert find_text(pixels).mask[8 : 4 + ink.shape[0], 10 : 6 + ink.shape[1]].all()


@pytest.mark.parametrize("scale", [0.75, 1.0, 1.5, 2.5])
def test_text_is_found_whatever_the_size_of_the_frame(scale: float) -> None:
    larger = cv2.resize(written(5).pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    text = find_text(larger)
    for _, ink in written(5).lines:
        grown = cv2.resize(ink.astype(np.uint8), larger.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        assert share_masked(grown, text) > 0.9


def test_a_cine_is_masked_in_every_frame_where_text_is_seen_in_one() -> None:
    black = np.zeros_like(background(1))
    texts = [found(1), find_text(black), found(2)]
    text = union_of(texts, black)
    np.testing.assert_array_equal(text.mask, texts[0].mask | texts[2].mask)
    assert set(text.boxes_xyxy) == {*texts[0].boxes_xyxy, *texts[2].boxes_xyxy}


def test_a_frame_full_of_writing_is_for_a_person_to_decide() -> None:
    pixels, write = background(2).copy(), font_writer(None)
    for row in range(20, 320, 18):
        ink = write("Lorem ipsum dolor sit amet consetetur sadipscing elitr sed", 15)[:, :440]
        pixels[row : row + ink.shape[0], 20 : 20 + ink.shape[1]] |= (255 * ink).astype(np.uint8)
    text = find_text(pixels)
    assert any("of the scan" in reason for reason in text.reasons)
    assert text.suspicion > find_text(background(2)).suspicion


@pytest.mark.parametrize("shape", [(16, 16), (24, 32), (63, 900), (64, 64), (65, 67), (1000, 70)])
def test_frames_of_any_shape_can_be_searched(shape: tuple[int, int]) -> None:
    text = find_text(np.full(shape, 40, np.uint8))
    assert text.mask.shape == shape
    assert not text.boxes_xyxy


def test_the_numpy_network_gives_probabilities_of_cells() -> None:
    probability = text_probability(background(0)[:101, :203])
    assert probability.shape == (26, 51)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_the_scan_area_is_the_fan_and_not_the_writing() -> None:
    pixels = np.zeros((300, 400), np.uint8)
    cv2.ellipse(pixels, (200, 20), (230, 230), 0, 50, 130, 90, -1)
    fan = pixels > 0
    ink = font_writer(None)("MUSTERFRAU, Erika", 14)
    pixels[280 : 280 + ink.shape[0], 4 : 4 + ink.shape[1]] = 255 * ink
    area = scan_area(pixels)
    assert (area & fan).sum() / (area | fan).sum() > 0.9
    assert not scan_area(np.zeros((50, 60), np.uint8)).any()

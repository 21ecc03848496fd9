"""Near duplicates: the same view in another coding is found, another view is not, and groups join."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.frames.duplicates import NearDuplicates, thumbnail_of
from annotator.phantom import PLANES, simulate_frame

HEADS = [simulate_frame(PLANES[0], seed=seed).pixels for seed in range(4)]


def as_jpeg(pixels: NDArray[np.uint8], quality: int = 30) -> NDArray[np.uint8]:
    _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


SAME = {
    "JPEG": as_jpeg,
    "smaller": lambda pixels: cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "brighter": lambda pixels: np.clip(pixels * 1.3, 0, 255).astype(np.uint8),
    "in colour": lambda pixels: np.repeat(pixels[..., None], 3, axis=2),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_view_in_another_coding_is_the_same(how: str) -> None:
    found = NearDuplicates()
    found.add("first", thumbnail_of(HEADS[0]))
    found.add("again", thumbnail_of(SAME[how](HEADS[0])))
    assert found.new_groups() == {"first": "dup-first", "again": "dup-first"}


def test_other_heads_are_not_the_same_and_an_even_frame_is_like_none() -> None:
    found = NearDuplicates()
    for number, head in enumerate(HEADS):
        found.add(str(number), thumbnail_of(head))
    found.add("black", thumbnail_of(np.zeros((48, 64), np.uint8)))
    found.add("gray", thumbnail_of(np.full((48, 64), 90, np.uint8)))
    assert found.new_groups() == {}


def test_what_is_likely_the_same_is_asked_about_not_grouped() -> None:
    found = NearDuplicates()
    one, noise = thumbnail_of(HEADS[0]), np.random.default_rng(0).normal(size=64 * 48).astype(np.float32)
    noise -= one * (one @ noise)
    found.add("first", one)
    found.add("alike", 0.9 * one + np.sqrt(1 - 0.81) * noise / np.linalg.norm(noise))
    assert found.new_groups() == {}
    ((first, alike, likeness),) = found.unsure()
    assert (first, alike) == ("first", "alike")
    assert likeness == pytest.approx(0.9, abs=0.002)


def test_two_cines_that_share_a_picture_become_one_group_with_all_their_frames() -> None:
    found = NearDuplicates()
    found.add("a0", thumbnail_of(HEADS[0]), "cine-a")
    found.add("a1", thumbnail_of(HEADS[1]), "cine-a")
    found.add("b0", thumbnail_of(HEADS[2]), "cine-b")
    found.add("b1", thumbnail_of(as_jpeg(HEADS[1])), "cine-b")
    found.add("still", thumbnail_of(as_jpeg(HEADS[0])))
    assert found.new_groups() == {"b0": "cine-a", "b1": "cine-a", "still": "cine-a"}


def test_many_frames_are_compared_across_blocks() -> None:
    rng, found = np.random.default_rng(0), NearDuplicates()
    for number in range(300):
        found.add(str(number), thumbnail_of(rng.integers(0, 255, (48, 64), dtype=np.uint8)))
    found.add("last", thumbnail_of(HEADS[0]))
    found.add("again", thumbnail_of(HEADS[0]))
    assert found.new_groups() == {"last": "dup-last", "again": "dup-last"}

"""Simulated frames: reproducible, marked, and like an ultrasound frame where it can be measured."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.errors import InputError
from annotator.geometry import ellipse_to_box_xyxy, ellipse_to_mask
from annotator.phantom import MARK, PLANES, PhantomFrame, simulate_frame, simulate_set
from annotator.schema import Ellipse
from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE, is_structure, is_view

PROFILE_STRUCTURES = {
    "NT", "nasal_bone", "nasal_skin", "nasal_tip", "palate", "thalami", "midbrain", "IT", "CM",
}  # fmt: skip


@cache
def frames() -> tuple[PhantomFrame, ...]:
    return tuple(simulate_set(12, seed=5))


def head_frames() -> list[tuple[PhantomFrame, Ellipse]]:
    return [(frame, frame.head) for frame in frames() if frame.head is not None]


def profiles() -> list[PhantomFrame]:
    return [frame for frame in frames() if frame.plane == FIRST_TRIMESTER_PLANE]


def mean_inside(frame: PhantomFrame, box_xyxy: tuple[float, float, float, float]) -> float:
    left, top, right, bottom = (round(edge) for edge in box_xyxy)
    return float(frame.pixels[top:bottom, left:right].mean())


def size_of(frame: PhantomFrame) -> tuple[int, int]:
    height, width = frame.pixels.shape
    return width, height


def scaled(head: Ellipse, factor: float) -> Ellipse:
    return head.model_copy(update={"rx": head.rx * factor, "ry": head.ry * factor})


@pytest.mark.parametrize("plane", PLANES)
def test_one_seed_always_gives_the_same_frame(plane: str) -> None:
    first, second = simulate_frame(plane, seed=7), simulate_frame(plane, seed=7)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert (first.head, first.boxes_xyxy, first.pixel_spacing_mm) == (
        second.head, second.boxes_xyxy, second.pixel_spacing_mm,
    )  # fmt: skip


def test_no_two_frames_of_a_set_are_alike() -> None:
    assert len({frame.pixels.tobytes() for frame in frames()}) == len(frames())


def test_another_seed_gives_another_set() -> None:
    assert not {f.pixels.tobytes() for f in simulate_set(4, seed=6)} & {f.pixels.tobytes() for f in frames()}


def test_a_longer_set_begins_with_the_shorter_one() -> None:
    for short, long in zip(simulate_set(2, seed=5), frames(), strict=False):
        np.testing.assert_array_equal(short.pixels, long.pixels)


def test_a_set_holds_every_plane_equally_often() -> None:
    counts = [sum(frame.plane == plane for frame in frames()) for plane in PLANES]
    assert counts == [3, 3, 3, 3]
    assert all(is_view(plane) for plane in PLANES)


def test_an_empty_set_is_empty() -> None:
    assert simulate_set(0) == []


@pytest.mark.parametrize("size_wh", [(400, 276), (640, 480), (160, 120), (500, 200), (200, 500)])
@pytest.mark.parametrize("plane", ["Trans-ventricular", FIRST_TRIMESTER_PLANE])
def test_a_frame_has_the_size_asked_for(plane: str, size_wh: tuple[int, int]) -> None:
    frame = simulate_frame(plane, seed=1, size_wh=size_wh)
    assert frame.pixels.shape == size_wh[::-1]
    assert frame.pixels.dtype == np.uint8
    assert all(left < right and top < bottom for left, top, right, bottom in frame.boxes_xyxy.values())


def test_an_unknown_plane_is_refused_with_the_planes_there_are() -> None:
    with pytest.raises(InputError, match=r"'Trans-orbital'.*Trans-thalamic.*First-trimester mid-sagittal"):
        simulate_frame("Trans-orbital", seed=0)


@pytest.mark.parametrize("size_wh", [(0, 0), (1, 1), (95, 400), (400, -3)])
def test_a_frame_too_small_to_show_anything_is_refused(size_wh: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="96 px are needed"):
        simulate_frame("Trans-thalamic", seed=0, size_wh=size_wh)


def test_only_brain_planes_have_a_head_ellipse() -> None:
    assert {frame.plane for frame, _ in head_frames()} == set(BRAIN_PLANES)
    assert all(frame.head is None for frame in profiles())


def test_the_whole_head_lies_inside_the_frame() -> None:
    for frame, head in head_frames():
        width, height = size_of(frame)
        left, top, right, bottom = ellipse_to_box_xyxy(head)
        assert left > 0
        assert top > 0
        assert right < width
        assert bottom < height


def test_head_circumference_is_that_of_the_second_or_third_trimester() -> None:
    for frame, head in head_frames():
        h = ((head.rx - head.ry) / (head.rx + head.ry)) ** 2  # Ramanujan 1914
        around = np.pi * (head.rx + head.ry) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
        assert 150 < around * frame.pixel_spacing_mm < 340


def test_boxes_are_structures_of_the_taxonomy_inside_the_frame() -> None:
    for frame in frames():
        width, height = size_of(frame)
        for name, (left, top, right, bottom) in frame.boxes_xyxy.items():
            assert is_structure(name)
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


def test_a_ventricle_is_boxed_in_the_transventricular_plane_only() -> None:
    for frame, _ in head_frames():
        assert set(frame.boxes_xyxy) == ({"CSP", "LV"} if frame.plane == "Trans-ventricular" else {"CSP"})


def test_boxes_of_the_brain_lie_inside_the_skull() -> None:
    for frame, head in head_frames():
        inside = ellipse_to_mask(head, size_of(frame))
        for left, top, right, bottom in frame.boxes_xyxy.values():
            assert inside[round(top) : round(bottom), round(left) : round(right)].all()


def test_a_profile_has_all_nine_structures_in_their_order_from_face_to_neck() -> None:
    for frame in profiles():
        assert set(frame.boxes_xyxy) == PROFILE_STRUCTURES
        middle = {name: (box[1] + box[3]) / 2 for name, box in frame.boxes_xyxy.items()}
        order = ["nasal_tip", "nasal_bone", "palate", "thalami", "midbrain", "IT", "CM", "NT"]
        assert sorted(order, key=middle.__getitem__) == order


def test_the_skull_is_brighter_than_brain_and_than_what_lies_around() -> None:
    for frame, head in head_frames():
        size_wh = size_of(frame)
        ring = ellipse_to_mask(scaled(head, 0.99), size_wh) & ~ellipse_to_mask(scaled(head, 0.92), size_wh)
        around = ellipse_to_mask(scaled(head, 1.12), size_wh) & ~ellipse_to_mask(scaled(head, 1.04), size_wh)
        ring_level = frame.pixels[ring].mean()
        assert ring_level > 2 * frame.pixels[ellipse_to_mask(scaled(head, 0.85), size_wh)].mean()
        assert ring_level > 2 * frame.pixels[around].mean()


def test_skull_across_the_beam_is_brighter_than_skull_along_it() -> None:
    for frame, head in head_frames():
        size_wh = size_of(frame)
        ring = ellipse_to_mask(head, size_wh) & ~ellipse_to_mask(scaled(head, 0.92), size_wh)
        columns = np.abs(np.arange(size_wh[0]) - head.cx) / head.rx
        facing, steep = ring & (columns < 0.4), ring & (columns > 0.93)
        assert frame.pixels[facing].mean() > 1.2 * frame.pixels[steep].mean()


def gap_between_two_brightest(column: NDArray[np.float64]) -> tuple[float, float]:
    """Darkest level between the two brightest echoes of a column, and the level of the weaker of the two."""
    first = int(column.argmax())
    second = int(np.where(np.abs(np.arange(column.size) - first) > 6, column, -1).argmax())
    low, high = sorted((first, second))
    return float(column[low : high + 1].min()), float(column[second])


def test_the_translucency_is_dark_between_two_bright_lines() -> None:
    for frame in profiles():
        left, top, right, bottom = (round(edge) for edge in frame.boxes_xyxy["NT"])
        columns = frame.pixels[top:bottom, (2 * left + right) // 3 : (left + 2 * right) // 3].T
        gaps = np.array([gap_between_two_brightest(column.astype(np.float64)) for column in columns])
        fluid, weaker_line = np.median(gaps, axis=0)
        assert fluid < 0.5 * weaker_line


def test_bone_of_the_nose_is_brighter_than_the_thalami() -> None:
    for frame in profiles():
        assert mean_inside(frame, frame.boxes_xyxy["nasal_bone"]) > 2 * mean_inside(
            frame, frame.boxes_xyxy["thalami"]
        )


def test_outside_the_sector_there_is_nothing_but_black() -> None:
    dark = [float((frame.pixels[:, frame.pixels.shape[1] // 2 :] == 0).mean()) for frame in frames()]
    assert min(dark) > 0.01
    assert max(dark) < 0.6


def grain(image: NDArray[np.float64]) -> tuple[float, float]:
    """Correlation of neighbours one step apart: across the frame, down the frame."""
    level = image - cv2.GaussianBlur(image, (0, 0), 8)
    power = (level**2).mean()
    across, down = (level[:, 2:] * level[:, :-2]).mean(), (level[2:] * level[:-2]).mean()
    return float(across / power), float(down / power)


def test_speckle_is_correlated_and_wider_across_the_beam_than_along_it() -> None:
    for frame, head in head_frames():
        half = int(0.25 * head.ry)
        cy, cx = int(head.cy + 0.3 * head.ry), int(head.cx)
        across, down = grain(frame.pixels[cy - half : cy + half, cx - half : cx + half].astype(np.float64))
        assert across > down
        assert across > 0.2


def test_neighbouring_tissue_levels_scatter_as_compounded_speckle_does() -> None:
    for frame in profiles():
        left, _, _, bottom = (round(edge) for edge in frame.boxes_xyxy["palate"])
        patch = frame.pixels[bottom + 5 : bottom + 60, left : left + 60].astype(np.float64)
        residue = patch - cv2.GaussianBlur(patch, (0, 0), 6)
        assert 2 < residue.std() < 30


def test_every_frame_carries_the_mark_in_its_upper_right_corner() -> None:
    for frame in frames():
        width, height = size_of(frame)
        corner = frame.pixels[: height // 10, int(0.75 * width) :]
        word = np.zeros((20, 90), np.uint8)
        cv2.putText(word, MARK, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, width / 1300, (255,), 1, cv2.LINE_AA)
        columns, rows = np.flatnonzero(word.any(axis=0)), np.flatnonzero(word.any(axis=1))
        tight = word[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert cv2.matchTemplate(corner, tight, cv2.TM_CCOEFF_NORMED).max() > 0.95

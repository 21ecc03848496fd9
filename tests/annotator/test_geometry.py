"""Geometry against independent judges: pycocotools for masks, the ellipse's own formula for fits."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pycocotools import mask as judge

from annotator import geometry
from annotator.schema import Ellipse, MaskRle, RotatedBox
from tests.builders import a_mask

Mask = NDArray[np.bool_]


def noise(seed: int, density: float, shape: tuple[int, int] = (40, 50)) -> Mask:
    return np.random.default_rng(seed).random(shape) < density


def with_hole() -> Mask:
    mask = a_mask()
    mask[8:11, 8:14] = False
    return mask


def island_in_a_hole() -> Mask:
    mask = a_mask((40, 40), (2, 2, 38, 38))
    mask[6:34, 6:34] = False
    mask[14:20, 14:20] = True
    return mask


def two_parts() -> Mask:
    return a_mask(box=(1, 1, 6, 6)) | a_mask(box=(20, 10, 30, 22))


def one_pixel() -> Mask:
    return a_mask(box=(7, 9, 8, 10))


def diagonal_touch() -> Mask:
    return a_mask(box=(2, 2, 6, 6)) | a_mask(box=(6, 6, 10, 10))


def anti_diagonal_touch() -> Mask:
    return diagonal_touch()[:, ::-1].copy()


def hole_that_touches_the_outside_by_a_corner() -> Mask:
    mask = a_mask(box=(2, 2, 10, 10))
    mask[3, 3] = mask[2, 2] = False
    return mask


def sliver() -> Mask:
    return a_mask(box=(3, 0, 4, 24)) | a_mask(box=(0, 12, 32, 13))


def border() -> Mask:
    mask = np.ones((24, 32), bool)
    mask[1:-1, 1:-1] = False
    return mask


def checkerboard() -> Mask:
    return np.indices((24, 32)).sum(axis=0) % 2 == 0


def corners() -> Mask:
    mask = np.zeros((24, 32), bool)
    mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return mask


def full() -> Mask:
    return np.ones((24, 32), bool)


def empty() -> Mask:
    return np.zeros((24, 32), bool)


HOSTILE: list[Callable[[], Mask]] = [
    with_hole,
    island_in_a_hole,
    two_parts,
    one_pixel,
    diagonal_touch,
    anti_diagonal_touch,
    hole_that_touches_the_outside_by_a_corner,
    sliver,
    border,
    checkerboard,
    corners,
    full,
    empty,
    lambda: np.ones((1, 1), bool),
    lambda: np.ones((1, 30), bool),
    lambda: np.ones((30, 1), bool),
    *[lambda seed=seed: noise(seed, 0.05 + 0.09 * seed) for seed in range(10)],  # type: ignore[misc]
]
any_mask = npst.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def fill_by_judge(ring: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    return np.asarray(judge.decode(judge.frPyObjects([ring.ravel().tolist()], *shape))[..., 0], bool)


def xor_of(rings: list[NDArray[np.float64]], shape: tuple[int, int]) -> Mask:
    """Each ring filled alone, an odd number of fillings being inside."""
    inside = np.zeros(shape, bool)
    for ring in rings:
        inside ^= fill_by_judge(ring, shape)
    return inside


def signed_area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return 0.5 * float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def assert_rings_say_everything(mask: Mask) -> None:
    rings, has_hole = geometry.mask_to_edge_rings(mask)
    np.testing.assert_array_equal(xor_of(rings, mask.shape), mask)
    assert abs(sum(signed_area(ring) for ring in rings)) == mask.sum()
    if not has_hole and rings:
        np.testing.assert_array_equal(geometry.polygons_to_mask(rings, mask.shape[::-1]), mask)
    for ring in rings:
        assert len(ring) >= 4
        np.testing.assert_array_equal(ring, ring.round())


@pytest.mark.parametrize("make", HOSTILE)
def test_edge_rings_hold_a_mask_without_loss(make: Callable[[], Mask]) -> None:
    assert_rings_say_everything(make())


@settings(max_examples=150)
@given(any_mask)
def test_edge_rings_hold_any_mask_without_loss(mask: Mask) -> None:
    assert_rings_say_everything(mask)


@pytest.mark.parametrize(
    ("make", "rings", "hole"),
    [(empty, 0, False), (full, 1, False), (one_pixel, 1, False), (two_parts, 2, False), (with_hole, 2, True)],
)
def test_rings_are_counted_and_holes_are_told(make: Callable[[], Mask], rings: int, hole: bool) -> None:
    traced, has_hole = geometry.mask_to_edge_rings(make())
    assert (len(traced), has_hole) == (rings, hole)


def test_the_ring_of_a_full_frame_is_its_four_corners() -> None:
    (ring,), _ = geometry.mask_to_edge_rings(full())
    assert {tuple(corner) for corner in ring.tolist()} == {(0, 0), (32, 0), (32, 24), (0, 24)}


@pytest.mark.parametrize("make", HOSTILE)
def test_rle_equals_that_of_pycocotools(make: Callable[[], Mask]) -> None:
    mask = make()
    rle = geometry.mask_to_rle(mask)
    reference = judge.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle.counts.encode() == reference["counts"]
    assert rle.size_hw == tuple(reference["size"]) == mask.shape
    np.testing.assert_array_equal(geometry.rle_to_mask(rle), mask)


@given(any_mask)
def test_any_mask_survives_rle_with_its_area_and_box(mask: Mask) -> None:
    rle = geometry.mask_to_rle(mask)
    np.testing.assert_array_equal(geometry.rle_to_mask(rle), mask)
    assert geometry.rle_area(rle) == mask.sum()
    rows, columns = np.nonzero(mask)
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if rows.size else (0, 0, 0, 0)
    assert geometry.rle_to_box_xyxy(rle) == expected


@pytest.mark.parametrize("values", [np.uint8(255), np.uint8(1), np.uint8(2)])
def test_any_value_but_zero_is_foreground(values: np.uint8) -> None:
    mask = a_mask()
    assert geometry.mask_to_rle(mask.astype(np.uint8) * values) == geometry.mask_to_rle(mask)


def test_a_mask_of_any_memory_order_encodes_alike() -> None:
    mask = noise(3, 0.4)
    rle = geometry.mask_to_rle(mask)
    assert geometry.mask_to_rle(np.asfortranarray(mask)) == rle
    assert geometry.mask_to_rle(np.repeat(mask, 2, axis=1)[:, ::2]) == rle


def test_the_union_of_overlapping_polygons_is_filled_once() -> None:
    squares = [
        np.array([[2, 2], [8, 2], [8, 8], [2, 8]], float),
        np.array([[5, 5], [12, 5], [12, 12], [5, 12]], float),
    ]
    mask = geometry.polygons_to_mask(squares, (20, 16))
    assert mask.sum() == 36 + 49 - 9
    assert mask.shape == (16, 20)


def test_polygons_too_short_to_enclose_anything_are_left_out() -> None:
    line = np.array([[1, 1], [9, 9]], float)
    assert not geometry.polygons_to_mask([line, np.zeros((0, 2))], (20, 16)).any()
    assert not geometry.polygons_to_mask([], (20, 16)).any()


# Ellipses


def circumference(a: float, b: float) -> float:
    """Ramanujan's second approximation, good to 1e-13 at these axes."""
    h = ((a - b) / (a + b)) ** 2
    return float(np.pi * (a + b) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))))


def random_heads(count: int) -> list[Ellipse]:
    random = np.random.default_rng(11)
    return [
        Ellipse(
            cx=float(random.uniform(330, 370)),
            cy=float(random.uniform(280, 320)),
            rx=float(random.uniform(190, 260)),
            ry=float(random.uniform(150, 185)),
            angle_deg=float(random.uniform(-90, 90)),
        )
        for _ in range(count)
    ]


def test_head_circumference_from_moments_has_no_bias() -> None:
    spacing_mm, errors = 0.15, []
    for head in random_heads(25):
        fitted = geometry.ellipse_from_moments(geometry.ellipse_to_mask(head, (700, 600)))
        assert fitted is not None
        errors.append(spacing_mm * (circumference(fitted.rx, fitted.ry) - circumference(head.rx, head.ry)))
    assert abs(np.mean(errors)) < 0.02
    assert np.abs(errors).mean() < 0.02


def test_centre_axes_and_turn_of_a_clean_ellipse_come_back() -> None:
    for head in random_heads(10):
        fitted = geometry.ellipse_from_moments(geometry.ellipse_to_mask(head, (700, 600)))
        assert fitted is not None
        assert (fitted.cx, fitted.cy) == pytest.approx((head.cx, head.cy), abs=0.02)
        assert (fitted.rx, fitted.ry) == pytest.approx((head.rx, head.ry), abs=0.05)
        assert (fitted.angle_deg - head.angle_deg + 90) % 180 - 90 == pytest.approx(0, abs=0.1)


def test_the_area_of_a_filled_ellipse_is_pi_a_b() -> None:
    for head in random_heads(10):
        filled = geometry.ellipse_to_mask(head, (700, 600)).sum()
        assert filled == pytest.approx(np.pi * head.rx * head.ry, rel=2e-3)


@pytest.mark.parametrize("make", [one_pixel, sliver, full, checkerboard, lambda: np.ones((1, 1), bool)])
def test_any_mask_that_is_not_empty_has_an_ellipse(make: Callable[[], Mask]) -> None:
    fitted = geometry.ellipse_from_moments(make())
    assert fitted is not None
    assert fitted.rx >= fitted.ry > 0


def test_an_empty_mask_has_no_ellipse() -> None:
    assert geometry.ellipse_from_moments(empty()) is None


def test_the_box_of_an_ellipse_is_as_tight_as_its_outline() -> None:
    ellipse = Ellipse(cx=50, cy=40, rx=30, ry=10, angle_deg=33)
    turn, around = np.deg2rad(33), np.linspace(0, 2 * np.pi, 20_001)
    x = 50 + 30 * np.cos(around) * np.cos(turn) - 10 * np.sin(around) * np.sin(turn)
    y = 40 + 30 * np.cos(around) * np.sin(turn) + 10 * np.sin(around) * np.cos(turn)
    assert geometry.ellipse_to_box_xyxy(ellipse) == pytest.approx((x.min(), y.min(), x.max(), y.max()), abs=1e-5)


def test_positive_angles_turn_clockwise_on_the_screen() -> None:
    mask = geometry.ellipse_to_mask(Ellipse(cx=50, cy=50, rx=40, ry=5, angle_deg=30), (100, 100))
    rows, columns = np.nonzero(mask)
    assert rows[columns > 70].mean() > 60  # the right end points down


def test_an_ellipse_outside_the_frame_fills_nothing() -> None:
    assert not geometry.ellipse_to_mask(Ellipse(cx=-90, cy=5, rx=20, ry=20), (64, 48)).any()


# Boxes


def test_the_corners_of_a_turned_box_go_clockwise_from_its_top_left() -> None:
    upright = geometry.rotated_box_corners(RotatedBox(cx=10, cy=20, width=6, height=2))
    assert upright.tolist() == [[7, 19], [13, 19], [13, 21], [7, 21]]
    quarter = geometry.rotated_box_corners(RotatedBox(cx=10, cy=20, width=6, height=2, angle_deg=90))
    assert quarter.round(9).tolist() == [[11, 17], [11, 23], [9, 23], [9, 17]]


@given(st.tuples(*[st.floats(-200, 200) for _ in range(4)]))
def test_a_clipped_box_lies_in_the_frame_and_clipping_again_changes_nothing(four: tuple[float, ...]) -> None:
    box = (min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
    clipped = geometry.clip_box_xyxy(box, (64, 48))
    assert 0 <= clipped[0] <= clipped[2] <= 64
    assert 0 <= clipped[1] <= clipped[3] <= 48
    assert geometry.clip_box_xyxy(clipped, (64, 48)) == clipped


@given(st.lists(st.tuples(*[st.integers(0, 30) for _ in range(4)]), min_size=2, max_size=2))
def test_iou_equals_that_of_pycocotools(pair: list[tuple[int, int, int, int]]) -> None:
    first, second = [(x, y, x + width, y + height) for x, y, width, height in pair]
    reference = judge.iou([list(map(float, pair[0]))], [list(map(float, pair[1]))], [0])[0, 0]
    ours = geometry.box_iou(first, second)
    assert ours == pytest.approx(0.0 if np.isnan(reference) else reference)
    assert geometry.box_iou(second, first) == ours


def test_the_box_around_points_is_tight() -> None:
    assert geometry.points_to_box_xyxy(np.array([[3.0, 9.0], [1.5, 2.0], [4.0, 4.0]])) == (1.5, 2.0, 4.0, 9.0)
    assert geometry.points_to_box_xyxy(np.array([[3.0, 9.0]])) == (3.0, 9.0, 3.0, 9.0)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(full(), full(), 1.0), (empty(), empty(), 1.0), (empty(), full(), 0.0), (a_mask(), a_mask(), 1.0)],
)
def test_dice_of_the_plain_cases(first: Mask, second: Mask, expected: float) -> None:
    assert geometry.dice(first, second) == expected


def test_dice_of_halves_and_of_any_number_type() -> None:
    left, both = a_mask(box=(0, 0, 10, 10)), a_mask(box=(0, 0, 20, 10))
    assert geometry.dice(left, both) == pytest.approx(2 * 100 / 300)
    assert geometry.dice(left.astype(np.uint8) * 255, both) == geometry.dice(left, both)


def test_rle_of_others_decodes_to_what_it_says() -> None:
    reference = judge.frPyObjects([[1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]], 8, 9)[0]
    mask = geometry.rle_to_mask(MaskRle(size_hw=(8, 9), counts=reference["counts"].decode()))
    assert mask.sum() == 12
    assert mask[1:4, 1:5].all()

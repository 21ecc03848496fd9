"""Frames onto grids and back; ellipses out of probability maps; boxes out of heat maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.geometry import dice, ellipse_to_mask
from annotator.schema import Ellipse
from backends.embedded.boxes import read_boxes
from backends.embedded.framing import around_ellipse, framed, letterbox, to_gray
from backends.embedded.head import largest_region, outline_head

GRID_WH = (256, 192)
SIDES = st.integers(1, 4000)


@given(width=SIDES, height=SIDES)
def test_every_frame_fits_the_grid_and_comes_back_to_its_own_pixels(width: int, height: int) -> None:
    grid = letterbox((width, height), GRID_WH)
    corners = np.array([[0.0, 0.0], [width, height]])
    on_grid = grid.to_grid(corners)
    assert (on_grid >= -1e-6).all()
    assert (on_grid <= np.array(GRID_WH) + 1e-6).all()
    assert np.allclose(grid.to_frame(on_grid), corners)


def test_a_frame_is_laid_edge_on_edge_not_centre_on_centre() -> None:
    frame = np.zeros((40, 60), np.uint8)
    frame[:, 30:] = 200  # a step at x = 30, the middle
    doubled = letterbox((60, 40), (120, 80)).warp(frame).astype(float)
    assert doubled[40, 59] + doubled[40, 60] == pytest.approx(200, abs=2)
    assert doubled[40, 57] == 0
    assert doubled[40, 62] == 200


def test_a_large_frame_is_averaged_down_and_not_sampled_here_and_there() -> None:
    fine = np.zeros((1920, 2560), np.uint8)
    fine[:, ::2] = 200
    small = framed(fine, letterbox((2560, 1920), GRID_WH))
    assert small.std() < 2
    assert small.mean() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, -75.0])
def test_a_head_is_laid_straight(angle_deg: float) -> None:
    ellipse = Ellipse(cx=200, cy=150, rx=90, ry=60, angle_deg=angle_deg)
    grid = around_ellipse(ellipse, (160, 128), margin=1.25)
    turn = np.deg2rad(angle_deg)
    tip = np.array([[200 + 90 * np.cos(turn), 150 + 90 * np.sin(turn)]])
    assert np.allclose(grid.to_grid(tip), [[80 + 64, 64]])


def test_colour_becomes_gray() -> None:
    assert to_gray(np.full((4, 5, 3), 77, np.uint8)).tolist() == np.full((4, 5), 77).tolist()


@pytest.mark.parametrize(
    "head",
    [
        Ellipse(cx=256, cy=173, rx=150, ry=110, angle_deg=0),
        Ellipse(cx=240, cy=180, rx=140, ry=100, angle_deg=25),
        Ellipse(cx=300, cy=150, rx=60, ry=55, angle_deg=-80),
        Ellipse(cx=256, cy=60, rx=160, ry=120, angle_deg=10),  # its upper part lies outside the frame
        Ellipse(cx=430, cy=173, rx=150, ry=110, angle_deg=-15),  # its right part does
    ],
)
def test_an_ellipse_is_found_again_from_its_map(head: Ellipse) -> None:
    frame_wh = (512, 346)
    grid = letterbox(frame_wh, GRID_WH)
    mask = ellipse_to_mask(head, frame_wh).astype(np.uint8) * 255
    outline = outline_head(grid.warp(mask).astype(np.float32) / 255, grid, frame_wh)
    assert outline is not None
    # A canvas larger than the frame shows that the cut-off part is right too.
    wanted, found = (
        ellipse_to_mask(one.model_copy(update={"cx": one.cx + 200, "cy": one.cy + 200}), (912, 746))
        for one in (head, outline.ellipse)
    )
    assert dice(wanted, found) > 0.985
    assert outline.agreement > 0.9  # the map is hard-edged, the fitted ellipse soft


def test_the_long_axis_comes_first_and_the_angle_stays_within_a_half_turn() -> None:
    grid = letterbox(GRID_WH, GRID_WH)
    upright = ellipse_to_mask(Ellipse(cx=128, cy=96, rx=50, ry=80, angle_deg=0), GRID_WH).astype(np.float32)
    outline = outline_head(upright, grid, GRID_WH)
    assert outline is not None
    assert outline.ellipse.rx > outline.ellipse.ry
    assert abs(abs(outline.ellipse.angle_deg) - 90) < 2


@pytest.mark.parametrize("level", [0.0, 0.49])
def test_a_map_without_a_head_has_no_outline(level: float) -> None:
    empty = np.full((192, 256), level, np.float32)
    assert outline_head(empty, letterbox((512, 384), GRID_WH), (512, 384)) is None


def test_specks_are_no_head() -> None:
    specks = np.zeros((192, 256), np.float32)
    specks[10, 10] = specks[50, 70] = 1.0
    assert outline_head(specks, letterbox((512, 384), GRID_WH), (512, 384)) is None


def test_of_two_regions_the_larger_is_kept() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:4, 2:4] = mask[8:18, 8:18] = True
    assert largest_region(mask).sum() == 100


def test_the_hottest_cell_says_where_a_structure_is() -> None:
    heat = np.full((2, 18, 24), -9.0, np.float32)
    heat[0, 5, 7], heat[1, 10, 20] = 3.0, -1.0
    sides = np.zeros((2, 4, 18, 24), np.float32)
    sides[0], sides[1] = 6.0, 3.0
    # Neighbours are averaged in by their heat; here they are cold.
    nt, bone = read_boxes(heat, sides, ("NT", "nasal_bone"))
    assert (nt.structure, nt.heat) == ("NT", 3.0)
    assert nt.box_xyxy == pytest.approx((30 - 6, 22 - 6, 30 + 6, 22 + 6), abs=0.02)
    assert bone.box_xyxy == pytest.approx((82 - 3, 42 - 3, 82 + 3, 42 + 3), abs=0.02)

"""Sizes from outlines and points, against shapes whose size is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ellipe

from annotator.biometry import MeasureName, measure
from annotator.biometry.ellipses import circumference, edge_midpoints, scaled
from annotator.errors import InputError
from annotator.geometry import ellipse_to_mask, mask_to_rle, rotated_box_corners
from annotator.phantom import simulate_frame
from annotator.schema import Ellipse, Finding, Keypoint, RotatedBox
from tests.builders import a_finding, a_mask, a_masked_finding

SIZE_WH = (512, 346)
SKULL = Ellipse(cx=250.3, cy=170.8, rx=140.0, ry=110.0, angle_deg=23.0)


def drawn(ellipse: Ellipse = SKULL, structure: str = "Brain", **more: Any) -> Finding:
    return a_finding(structure, ellipse=ellipse, **more)


def masked(ellipse: Ellipse = SKULL, size_wh: tuple[int, int] = SIZE_WH) -> Finding:
    return a_masked_finding(ellipse_to_mask(ellipse, size_wh))


def points(structure: str, **named: tuple[float, float]) -> Finding:
    return a_finding(structure, keypoints=tuple(Keypoint(name=name, x=x, y=y) for name, (x, y) in named.items()))


def value(name: MeasureName, *findings: Finding, spacing: tuple[float, float] = (0.2, 0.2), **more: Any) -> float:
    biometry = measure(findings, spacing, **more)
    found = biometry.find(name)
    assert found is not None, biometry.unmeasured
    return found.value


def reason(name: MeasureName, *findings: Finding, spacing: Any = (0.2, 0.2), **more: Any) -> str:
    biometry = measure(findings, spacing, **more)
    assert biometry.find(name) is None
    return biometry.reason(name)


def exact_circumference_mm(ellipse_mm: Ellipse) -> float:
    """By the complete elliptic integral: independent of Ramanujan."""
    long, short = sorted((ellipse_mm.rx, ellipse_mm.ry), reverse=True)
    return float(4 * long * ellipe(1 - (short / long) ** 2))


@pytest.mark.parametrize("flat", [0.05, 0.5, 0.78, 1.0])
def test_the_perimeter_is_that_of_the_elliptic_integral(flat: float) -> None:
    ellipse = Ellipse(cx=0, cy=0, rx=50, ry=50 * flat)
    assert circumference(ellipse) == pytest.approx(
        exact_circumference_mm(ellipse), rel=1e-4 if flat < 0.1 else 1e-9
    )


@pytest.mark.parametrize("square", [True, False], ids=["square pixels", "pixels of any shape"])
def test_hc_of_clean_ellipses_is_right_to_hundredths_of_a_mm(square: bool) -> None:
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(150):
        column_mm = rng.uniform(0.05, 0.33)
        row_mm = column_mm if square else column_mm * rng.uniform(0.6, 1.6)
        rx = rng.uniform(60, 165)
        turn, flat = rng.uniform(-90, 90), rng.uniform(0.7, 0.95)
        ellipse = Ellipse(cx=256 + rng.random(), cy=173 + rng.random(), rx=rx, ry=rx * flat, angle_deg=turn)
        true_mm = exact_circumference_mm(scaled(ellipse, column_mm, row_mm))
        if true_mm > 55:
            errors.append(value(MeasureName.HC, masked(ellipse), spacing=(row_mm, column_mm)) - true_mm)
    assert len(errors) > 90
    assert np.abs(errors).mean() <= 0.02
    assert np.abs(errors).max() < 0.08


def test_an_ellipse_as_drawn_gives_its_axes() -> None:
    sizes = {one.name: one.value for one in measure([drawn()], (0.2, 0.2)).measurements}
    assert sizes[MeasureName.OFD] == pytest.approx(56.0)
    assert sizes[MeasureName.BPD_OO] == pytest.approx(44.0)
    assert sizes[MeasureName.CI] == pytest.approx(100 * 110 / 140)
    assert sizes[MeasureName.HC] == pytest.approx(exact_circumference_mm(Ellipse(cx=0, cy=0, rx=28, ry=22)))


def test_every_measurement_says_how_it_was_taken_and_of_which_finding() -> None:
    finding = masked()
    for one in measure([finding], (0.2, 0.2)).measurements:
        assert one.finding_id == finding.finding_id
        assert one.method.startswith("second moments of the mask")
        assert one.unit == ("%" if one.name is MeasureName.CI else "mm")


def test_an_ellipse_in_pixels_that_are_not_square_is_measured_as_its_mapped_outline() -> None:
    around = np.linspace(0, 2 * np.pi, 200001)
    turn = math.radians(SKULL.angle_deg)
    u, v = SKULL.rx * np.cos(around), SKULL.ry * np.sin(around)
    x_mm = 0.11 * (u * math.cos(turn) - v * math.sin(turn))
    y_mm = 0.29 * (u * math.sin(turn) + v * math.cos(turn))
    walked = float(np.hypot(np.diff(x_mm), np.diff(y_mm)).sum())
    from_centre = np.hypot(x_mm, y_mm)
    assert value(MeasureName.HC, drawn(), spacing=(0.29, 0.11)) == pytest.approx(walked, abs=1e-6)
    assert value(MeasureName.OFD, drawn(), spacing=(0.29, 0.11)) == pytest.approx(2 * from_centre.max(), abs=1e-6)
    assert value(MeasureName.BPD_OO, drawn(), spacing=(0.29, 0.11)) == pytest.approx(
        2 * from_centre.min(), abs=1e-6
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_head_of_a_simulated_frame_measures_what_it_was_made_with(seed: int) -> None:
    frame = simulate_frame("Trans-thalamic", seed=seed)
    assert frame.head is not None
    height, width = frame.pixels.shape
    spacing = (frame.pixel_spacing_mm, frame.pixel_spacing_mm)
    true_mm = exact_circumference_mm(scaled(frame.head, *spacing))
    error = value(MeasureName.HC, masked(frame.head, (width, height)), spacing=spacing) - true_mm
    assert abs(error) < (0.08 if ellipse_fits(frame.head, (width, height)) else 0.002 * true_mm)


def ellipse_fits(ellipse: Ellipse, size_wh: tuple[int, int]) -> bool:
    mask = ellipse_to_mask(ellipse, size_wh)
    return not (mask[[0, -1]].any() or mask[:, [0, -1]].any())


@pytest.mark.parametrize(
    ("cx", "cy"),
    [(90.0, 170.0), (430.0, 180.0), (250.0, 70.0), (250.0, 300.0)],
    ids=["left", "right", "top", "bottom"],
)
def test_a_head_cut_off_by_the_frame_is_fitted_from_what_is_seen(cx: float, cy: float) -> None:
    skull = SKULL.model_copy(update={"cx": cx, "cy": cy, "angle_deg": 8.0})
    biometry = measure([masked(skull)], (0.22, 0.2))
    found = biometry.find(MeasureName.HC)
    assert found is not None
    assert "direct fit" in found.method
    assert found.value == pytest.approx(exact_circumference_mm(scaled(skull, 0.2, 0.22)), rel=0.002)


def test_edge_points_lie_on_the_middle_of_pixel_edges_and_never_on_the_frame() -> None:
    mask = a_mask((6, 4), (0, 1, 2, 3))
    on_the_right, above, below = [(2.0, 1.5), (2.0, 2.5)], [(0.5, 1.0), (1.5, 1.0)], [(0.5, 3.0), (1.5, 3.0)]
    assert sorted(map(tuple, edge_midpoints(mask))) == sorted(on_the_right + above + below)


def in_two_parts() -> NDArray[np.bool_]:
    return a_mask(SIZE_WH, (40, 40, 140, 140)) | a_mask(SIZE_WH, (240, 40, 340, 140))


def a_banana() -> NDArray[np.bool_]:
    hole = SKULL.model_copy(update={"cx": SKULL.cx + 60})
    return ellipse_to_mask(SKULL, SIZE_WH) & ~ellipse_to_mask(hole, SIZE_WH)


REFUSED: list[tuple[str, Callable[[], NDArray[np.bool_]], str]] = [
    ("nothing", lambda: np.zeros(SIZE_WH[::-1], bool), "empty"),
    ("the whole frame", lambda: np.ones(SIZE_WH[::-1], bool), "cuts the structure off on every side"),
    ("two parts", in_two_parts, "2 parts"),
    ("a few pixels", lambda: a_mask(SIZE_WH, (100, 100, 110, 108)), "only 80 pixels"),
    ("a banana", a_banana, "no ellipse"),
    ("a bar", lambda: a_mask(SIZE_WH, (50, 100, 400, 140)), "no ellipse"),
    (
        "less than half a head",
        lambda: ellipse_to_mask(SKULL.model_copy(update={"cx": -20.0}), SIZE_WH),
        "of the outline, at least 60% are needed",
    ),
]


@pytest.mark.parametrize(("make", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_head_gives_a_reason_and_no_number(make: Callable[[], NDArray[np.bool_]], why: str) -> None:
    finding = a_finding("Brain", mask_rle=mask_to_rle(make()))
    assert why in reason(MeasureName.HC, finding)
    assert not measure([finding], (0.2, 0.2)).measurements


def test_specks_and_holes_do_not_change_the_size() -> None:
    mask = ellipse_to_mask(SKULL, SIZE_WH)
    clean = value(MeasureName.HC, a_masked_finding(mask))
    mask[150:190, 240:260] = False
    mask[5:9, 5:9] = True
    assert value(MeasureName.HC, a_masked_finding(mask)) == clean


def test_half_of_a_drawn_line_is_taken_off_a_filled_outline() -> None:
    outer = SKULL.model_copy(update={"rx": SKULL.rx + 2, "ry": SKULL.ry + 2})
    measured = value(MeasureName.HC, masked(outer), outline_width_mm=4 * 0.2)
    assert measured == pytest.approx(value(MeasureName.HC, drawn()), abs=0.08)


def test_a_line_wider_than_the_outline_is_refused() -> None:
    assert "leaves nothing" in reason(MeasureName.HC, masked(), outline_width_mm=60.0)


def test_an_upright_box_gives_no_circumference() -> None:
    assert "only a box" in reason(MeasureName.HC, a_finding("Brain"))


def test_without_spacing_every_measure_says_so() -> None:
    biometry = measure([drawn(), points("CRL_KP", crown=(10, 10), rump=(300, 40))], None)
    assert not biometry.measurements
    assert {one.name for one in biometry.unmeasured} == {*"HC OFD BPD_OO CI BPD_OI CRL".split()}  # noqa: SIM905
    assert all("no pixel spacing" in one.reason for one in biometry.unmeasured)


@pytest.mark.parametrize("spacing", [(0.0, 0.2), (0.2, -0.1), (math.nan, 0.2), (0.2, math.inf)])
def test_a_spacing_that_is_no_length_is_misuse(spacing: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="pixel_spacing_mm must be a positive number"):
        measure([drawn()], spacing)


def test_a_spacing_in_cm_is_noticed() -> None:
    assert "17.67 mm is outside" not in reason(MeasureName.HC, drawn(), spacing=(0.02, 0.02))
    assert "is this in cm?" in reason(MeasureName.HC, drawn(), spacing=(0.02, 0.02))
    assert "ten times too large" in reason(MeasureName.HC, drawn(), spacing=(2.0, 2.0))


def test_bpd_outer_inner_is_not_guessed() -> None:
    assert "needs the inner border" in reason(MeasureName.BPD_OI, drawn())


def test_bpd_outer_inner_from_the_thickness_of_the_far_bone() -> None:
    assert value(MeasureName.BPD_OI, drawn(), skull_mm=2.5) == pytest.approx(44.0 - 2.5)


@pytest.mark.parametrize("angle_deg", [0.0, 20.0, -35.0, 170.0])
def test_bpd_outer_inner_runs_to_the_inner_edge_of_the_far_bone(angle_deg: float) -> None:
    """Bone of 10 px towards the probe and 15 px on the far side: 220 px across, less 15."""
    turn = math.radians(angle_deg)
    down = math.copysign(1, math.cos(turn)) * np.array([-math.sin(turn), math.cos(turn)])
    cx, cy = np.array([SKULL.cx, SKULL.cy]) - 2.5 * down
    inner = Ellipse(cx=cx, cy=cy, rx=125, ry=97.5, angle_deg=angle_deg)
    skull = SKULL.model_copy(update={"angle_deg": angle_deg})
    assert value(MeasureName.BPD_OI, drawn(skull), inner_skull=inner) == pytest.approx((220 - 15) * 0.2)
    inner_rle = mask_to_rle(ellipse_to_mask(inner, SIZE_WH))
    assert value(MeasureName.BPD_OI, drawn(skull), inner_skull=inner_rle) == pytest.approx(41.0, abs=0.05)


def test_an_inner_border_outside_the_outer_one_is_refused_and_the_rest_measured() -> None:
    inner = SKULL.model_copy(update={"cy": SKULL.cy + 40})
    assert "outside the outer one" in reason(MeasureName.BPD_OI, drawn(), inner_skull=inner)
    assert value(MeasureName.HC, drawn(), inner_skull=inner) > 0
    empty = mask_to_rle(np.zeros((20, 20), bool))
    assert "inner border of the skull: the mask is empty" in reason(MeasureName.BPD_OI, drawn(), inner_skull=empty)


def test_ac_is_the_circumference_of_the_abdomen() -> None:
    assert value(MeasureName.AC, drawn(structure="abdomen")) == value(MeasureName.HC, drawn())


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        (MeasureName.CRL, points("CRL_KP", crown=(100, 100), rump=(400, 200))),
        (MeasureName.FL, points("legs", proximal=(100, 100), distal=(400, 200))),
    ],
)
def test_lengths_between_points_are_taken_in_mm(name: MeasureName, finding: Finding) -> None:
    expected = math.hypot(300 * 0.1, 100 * 0.2)
    assert value(name, finding, spacing=(0.2, 0.1), plane="Femur") == pytest.approx(expected)


def test_nt_runs_between_the_two_calipers() -> None:
    finding = points("NTKpoints", inner=(200, 100), outer=(203, 114))
    assert value(MeasureName.NT, finding, spacing=(0.1, 0.1)) == pytest.approx(math.hypot(0.3, 1.4))


def test_a_point_that_is_absent_is_named() -> None:
    crown, rump = Keypoint(name="crown", x=1, y=2), Keypoint(name="rump", x=300, y=40, visibility=0)
    assert reason(MeasureName.CRL, a_finding("CRL_KP", keypoints=(crown, rump))) == "not marked: rump"
    assert reason(MeasureName.CRL, a_finding("CRL_KP")) == "not marked: crown and rump"


FEMUR = RotatedBox(cx=256, cy=173, width=220, height=18, angle_deg=31)


def test_the_femur_is_as_long_as_its_rotated_box() -> None:
    finding = a_finding("legs", rotated_box=FEMUR)
    corners_mm = rotated_box_corners(FEMUR) * [0.1, 0.2]
    assert value(MeasureName.FL, finding, spacing=(0.2, 0.1), plane="FL_PLANE") == pytest.approx(
        math.dist(corners_mm[0], corners_mm[1])
    )
    upright = FEMUR.model_copy(update={"width": 18.0, "height": 220.0, "angle_deg": -59.0})
    turned = a_finding("legs", rotated_box=upright)
    assert value(MeasureName.FL, turned, plane="FL_PLANE") == pytest.approx(44.0)


def test_the_femur_is_as_long_as_its_mask() -> None:
    femur = Ellipse(cx=250.4, cy=170.2, rx=120, ry=11, angle_deg=-27)
    assert value(MeasureName.FL, masked_femur(femur), plane="Femur") == pytest.approx(48.0, abs=0.3)


def masked_femur(femur: Ellipse) -> Finding:
    return a_masked_finding(ellipse_to_mask(femur, SIZE_WH), structure="legs")


@pytest.mark.parametrize(
    ("finding", "plane", "why"),
    [
        (a_finding("legs", rotated_box=FEMUR), None, "not in a frame of unknown plane"),
        (a_finding("legs", rotated_box=FEMUR), "Trans-thalamic", "not in Trans-thalamic"),
        (a_finding("legs"), "Femur", "only a box"),
        (masked_femur(Ellipse(cx=20, cy=170, rx=120, ry=11)), "Femur", "the frame cuts the femur off"),
        (a_finding("legs", mask_rle=mask_to_rle(np.zeros((9, 9), bool))), "Femur", "the mask is empty"),
    ],
)
def test_a_femur_that_cannot_be_measured_says_why(finding: Finding, plane: str | None, why: str) -> None:
    assert why in reason(MeasureName.FL, finding, plane=plane)


def test_other_structures_are_passed_over() -> None:
    biometry = measure([a_finding("CSP"), a_finding("NT"), a_finding("fetal_head")], (0.2, 0.2))
    assert biometry == biometry.model_copy(update={"measurements": (), "unmeasured": ()})


def test_the_surest_finding_comes_first_and_a_persons_before_all() -> None:
    sure = drawn(SKULL.model_copy(update={"rx": 150.0}), score=0.9)
    unsure = drawn(SKULL.model_copy(update={"rx": 130.0}), score=0.4)
    assert value(MeasureName.OFD, unsure, sure) == pytest.approx(60.0)
    assert value(MeasureName.OFD, unsure, sure, drawn()) == pytest.approx(56.0)

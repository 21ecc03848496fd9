"""Figures of masks: each convention by name, distances against brute force, FADA's canvas pixel for pixel."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from annotator.geometry import dice, ellipse_to_mask
from annotator.schema import Ellipse, Finding
from exports.metrics.cases import Case
from exports.metrics.fada_dice import canvas_overlap
from exports.metrics.overlap import decoded, overlap
from exports.metrics.segmentation import segmentation_figures
from exports.metrics.surfaces import surfaces
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction
from tests.exports.metrics.runs import a_run

SPACING = (0.5, 0.25)


def a_case(seed: int, truths: Sequence[Finding], said: Sequence[Finding], **facts: object) -> Case:
    frame = a_frame(seed, **facts)
    return Case(
        frame, a_correction(frame, is_truth=True, findings=tuple(truths)), a_prediction(frame, findings=tuple(said))
    )


def blob(random: np.random.Generator, size_wh: tuple[int, int] = (60, 50)) -> NDArray[np.bool_]:
    """Some ellipses and specks, now and then over the border of the frame."""
    mask = random.random(size_wh[::-1]) < 0.003
    for _ in range(random.integers(1, 4)):
        cx, cy = random.uniform(0, size_wh[0]), random.uniform(0, size_wh[1])
        rx, ry = random.uniform(2, 15, 2)
        mask |= ellipse_to_mask(Ellipse(cx=cx, cy=cy, rx=rx, ry=ry), size_wh)
    return mask


def test_the_conventions_of_dice_part_where_a_structure_is_missed_or_invented() -> None:
    half = a_mask(box=(4, 5, 20, 10))
    cases = [
        a_case(1, [a_masked_finding(a_mask())], [a_masked_finding(half)]),  # 80 of 160 pixels
        a_case(2, [a_masked_finding(a_mask())], []),
        a_case(3, [a_masked_finding(a_mask())], [a_masked_finding(a_mask()), a_masked_finding(half, "thorax")]),
    ]
    figures = segmentation_figures(cases)
    brain = (2 * 80 / 240, 0.0, 1.0)
    assert figures["dice_macro_fada"]["value"] == pytest.approx((sum(brain) + 0.0) / 4)
    assert figures["dice_macro_fada"]["n"] == 4
    assert figures["dice_macro_monai"]["value"] == pytest.approx(sum(brain) / 3)
    assert figures["dice_pooled"]["value"] == pytest.approx(2 * (80 + 160) / (3 * 160 + 80 + 160 + 80))
    assert figures["iou_macro_fada"]["value"] == pytest.approx((0.5 + 0.0 + 1.0 + 0.0) / 4)
    assert (figures["pairs"], figures["missed"], figures["only_predicted"]) == (4, 1, 1)
    assert figures["per_structure"]["Brain"]["dice_macro_fada"]["value"] == pytest.approx(sum(brain) / 3)
    assert "dice_macro_monai" not in figures["per_structure"]["thorax"]
    assert set(figures["conventions"]) == {"macro_fada", "macro_monai", "pooled", "fada_canvas"}


def test_frames_without_an_outline_in_the_reference_do_not_count() -> None:
    only_box = a_case(1, [a_finding("Brain")], [a_masked_finding(a_mask())])
    empty = a_case(2, [a_masked_finding(np.zeros((24, 32), bool))], [])
    assert segmentation_figures([only_box, empty]) == {}


def test_an_empty_mask_on_both_sides_is_no_pair() -> None:
    nothing = a_masked_finding(np.zeros((24, 32), bool), "thorax")
    case = a_case(1, [a_masked_finding(a_mask()), nothing], [a_masked_finding(a_mask()), nothing])
    figures = segmentation_figures([case])
    assert figures["pairs"] == 1
    assert figures["dice_macro_fada"]["value"] == 1.0


def test_two_masks_of_one_structure_are_judged_as_their_union() -> None:
    left, right = a_mask(box=(4, 5, 12, 15)), a_mask(box=(12, 5, 20, 15))
    case = a_case(1, [a_masked_finding(a_mask())], [a_masked_finding(left), a_masked_finding(right)])
    assert segmentation_figures([case])["dice_macro_fada"]["value"] == 1.0


def test_a_predicted_mask_of_another_size_is_counted_and_is_no_mask() -> None:
    other = a_masked_finding(a_mask((64, 48)))
    figures = segmentation_figures([a_case(1, [a_masked_finding(a_mask())], [other])])
    assert figures["masks_of_another_size"] == 1
    assert figures["dice_macro_fada"]["value"] == 0.0


def test_distances_are_in_mm_where_the_spacing_is_known_and_in_pixels_elsewhere() -> None:
    moved = a_mask(box=(6, 5, 22, 15))
    known = a_case(1, [a_masked_finding(a_mask())], [a_masked_finding(moved)], pixel_spacing_mm=SPACING)
    unknown = a_case(2, [a_masked_finding(a_mask())], [a_masked_finding(moved)])
    figures = segmentation_figures([known, unknown])
    assert (figures["hd95_mm"]["value"], figures["hd95_px"]["value"]) == (pytest.approx(0.5), pytest.approx(2.0))
    assert figures["hd95_mm"]["n"] == figures["hd95_px"]["n"] == 1
    assert (figures["surface_dice_mm"]["value"], figures["tolerance_mm"]) == (1.0, 1.0)
    only_unknown = segmentation_figures([unknown])
    assert "hd95_mm" not in only_unknown


def test_a_missed_structure_has_no_distance_but_no_surface_dice_either() -> None:
    case = a_case(1, [a_masked_finding(a_mask())], [])
    figures = segmentation_figures([case])
    assert "hd95_px" not in figures
    assert figures["surface_dice_px"]["value"] == 0.0
    assert figures["added_path_length_px"]["value"] == 2 * (16 + 10) - 4


@pytest.mark.parametrize("spacing", [(1.0, 1.0), SPACING])
@pytest.mark.parametrize("seed", range(6))
def test_surfaces_are_those_of_brute_force(seed: int, spacing: tuple[float, float]) -> None:
    random = np.random.default_rng(seed)
    truth, said = blob(random), blob(random)
    edges = [mask & ~binary_erosion(mask) for mask in (truth, said)]
    # From each boundary pixel to the nearest one of the other, by a distance transform of the whole frame.
    to_said = distance_transform_edt(~edges[1], sampling=spacing)[edges[0]]
    to_truth = distance_transform_edt(~edges[0], sampling=spacing)[edges[1]]
    points = [np.argwhere(edge) * spacing for edge in edges]
    every = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(axis=2))
    measured = surfaces(truth, said, spacing)
    assert np.allclose(np.sort(measured.to_said), np.sort(to_said))
    assert np.allclose(np.sort(measured.to_truth), np.sort(every.min(axis=0)))
    assert measured.hd95 == pytest.approx(max(np.percentile(to_said, 95), np.percentile(to_truth, 95)))
    near = (to_said <= 1.0).sum() + (to_truth <= 1.0).sum()
    assert measured.surface_dice(1.0) == pytest.approx(near / (len(to_said) + len(to_truth)))
    added = (edges[0] & ~edges[1]).sum() * np.sqrt(spacing[0] * spacing[1])
    assert measured.added_path_length == pytest.approx(added)


def test_equal_masks_have_no_distance_and_empty_ones_agree() -> None:
    mask, nothing = a_mask(), np.zeros((24, 32), bool)
    same = surfaces(mask, mask)
    assert (same.hd95, same.surface_dice(0.0), same.added_path_length) == (0.0, 1.0, 0.0)
    assert (surfaces(nothing, nothing).hd95, surfaces(nothing, nothing).surface_dice(1.0)) == (None, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_overlap_counts_the_pixels_of_the_decoded_masks(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = [blob(random) for _ in range(4)]
    truths, said = ([a_masked_finding(mask) for mask in some] for some in (masks[:2], masks[2:]))
    union_true, union_said = masks[0] | masks[1], masks[2] | masks[3]
    counts = overlap(truths, said)
    assert (counts.truth, counts.said) == (union_true.sum(), union_said.sum())
    assert counts.shared == (union_true & union_said).sum()
    assert counts.dice == dice(union_true, union_said)
    frame = a_frame(size_wh=(60, 50))
    assert np.array_equal(decoded(truths, frame), union_true)


def on_the_whole_canvas(rings: Sequence[NDArray[np.float64]]) -> NDArray[np.uint8]:
    canvas = np.zeros((1000, 1000), np.uint8)
    for ring in rings:
        cv2.fillPoly(canvas, [np.array(ring).astype(np.int32)], 1)
    return canvas


@pytest.mark.parametrize("seed", range(15))
def test_the_cropped_canvas_counts_as_the_whole_one(seed: int) -> None:
    """Polygons of any form, now and then beyond the canvas, of a single point or none at all."""
    random = np.random.default_rng(seed)

    def outlines(count: int) -> list[NDArray[np.float64]]:
        centres = random.uniform(-50, 1050, (count, 1, 2))
        return [centre + random.uniform(-300, 300, (random.integers(1, 12), 2)) for centre in centres]

    truth, said = outlines(int(random.integers(0, 3))), outlines(int(random.integers(0, 3)))
    first, second = on_the_whole_canvas(truth), on_the_whole_canvas(said)
    counts = canvas_overlap(truth, said)
    assert (counts.truth, counts.said) == (first.sum(), second.sum())
    assert counts.shared == np.logical_and(first, second).sum()


def test_the_canvas_moves_dice_but_little() -> None:
    figures = segmentation_figures(a_run(12))
    assert figures["dice_fada_canvas"]["value"] == pytest.approx(figures["dice_macro_fada"]["value"], abs=0.005)
    assert figures["dice_fada_canvas"]["value"] != figures["dice_macro_fada"]["value"]

"""Points: similarity is pycocotools' OKS, distances are those of a ruler, what was not found is not measured."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator.schema import Finding, Keypoint
from exports.metrics.cases import Case
from exports.metrics.keypoints import (
    SIGMA,
    extent,
    gaps_xy,
    keypoint_figures,
    object_keypoint_similarity,
)
from tests.builders import a_correction, a_finding, a_frame, a_prediction
from tests.exports.metrics.runs import calipers


def a_case(truths: list[Finding], said: list[Finding] | None, seed: int = 0, **facts: object) -> Case:
    frame = a_frame(seed, **facts)
    prediction = None if said is None else a_prediction(frame, findings=tuple(said))
    return Case(frame, a_correction(frame, is_truth=True, findings=tuple(truths)), prediction)


def oks_by_pycocotools(truth: np.ndarray, said: np.ndarray, area: float, sigma: float) -> float:
    """(N, 3) points with visibility; one object in one image."""
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 10, 10], "area": area}
    sides = []
    for points, more in ((truth, {"num_keypoints": len(truth)}), (said, {"score": 1.0})):
        coco = COCO()
        annotation = {"id": 1, "keypoints": points.ravel().tolist(), **common, **more}
        coco.dataset = {"info": {}, "images": [{"id": 1}], "categories": [{"id": 1}], "annotations": [annotation]}
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        sides.append(coco)
    judge = COCOeval(*sides, "keypoints")
    judge.params.kpt_oks_sigmas = np.full(len(truth), sigma)
    judge._prepare()
    return float(judge.computeOks(1, 1)[0, 0])


@pytest.mark.parametrize("seed", range(6))
def test_similarity_is_that_of_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.column_stack([random.uniform(0, 50, (5, 2)), random.integers(0, 3, 5)])
    truth[0, 2] = 2
    said = np.column_stack([truth[:, :2] + random.normal(0, 4, (5, 2)), np.full(5, 2)])
    visible = truth[:, 2] > 0
    value = object_keypoint_similarity((said - truth)[visible, :2], 900.0, 0.05)
    assert value == pytest.approx(oks_by_pycocotools(truth, said, 900.0, 0.05), rel=1e-12)


def test_points_are_compared_by_name_and_only_where_they_are_seen() -> None:
    truth = a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=1, y=1), Keypoint(name="rump", x=9, y=1)))
    swapped = a_finding("CRL_KP", keypoints=(Keypoint(name="rump", x=9, y=3), Keypoint(name="crown", x=1, y=1)))
    assert gaps_xy(truth, swapped).tolist() == [[0.0, 0.0], [0.0, 2.0]]
    hidden = a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=1, y=1, visibility=0),))
    assert len(gaps_xy(hidden, swapped)) == 0
    lacking = a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=1, y=1),))
    assert object_keypoint_similarity(gaps_xy(truth, lacking), 100.0) == pytest.approx(0.5)


def test_distances_are_in_mm_by_the_spacing_of_rows_and_columns() -> None:
    truth, said = calipers(2, 2, 12), calipers(5, 6, 12)  # 3 to the right, 4 down
    known = keypoint_figures([a_case([truth], [said], pixel_spacing_mm=(0.5, 1.0))])
    assert known["distance_px"]["value"] == pytest.approx(5.0)
    assert known["distance_mm"]["value"] == pytest.approx(np.hypot(3 * 1.0, 4 * 0.5))
    assert known["oks"]["value"] == pytest.approx(np.exp(-25 / (2 * 72 * (2 * SIGMA) ** 2)))
    assert "distance_mm" not in keypoint_figures([a_case([truth], [said])])


@pytest.mark.parametrize("said", [[], None, [a_finding("CRL")]])
def test_what_was_not_found_has_similarity_0_and_no_distance(said: list[Finding] | None) -> None:
    figures = keypoint_figures([a_case([calipers()], said)])
    assert figures["oks"]["value"] == 0.0
    assert (figures["truths"], figures["not_found"]) == (1, 1)
    assert "distance_px" not in figures


def test_two_structures_of_a_kind_are_paired_with_the_nearer_ones() -> None:
    truths, said = [calipers(2, 2), calipers(15, 10)], [calipers(15, 11), calipers(2, 3)]
    assert keypoint_figures([a_case(truths, said)])["distance_px"]["value"] == pytest.approx(1.0)


def test_callipers_in_one_line_have_an_extent_all_the_same() -> None:
    line = a_finding("CRL_KP", (0, 5, 20, 5))
    assert extent(line) == pytest.approx(0.25 * 400)
    assert extent(a_finding("CRL_KP", (0, 0, 20, 10))) == pytest.approx(200)


def test_without_a_visible_point_there_is_no_figure() -> None:
    hidden = a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=0, y=0, visibility=0),))
    assert keypoint_figures([a_case([hidden], [calipers()])]) == {}

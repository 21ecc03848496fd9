"""Figures of boxes: what ties do is shown, F1 is counted plainly, and a model that failed is not left out."""

from dataclasses import replace

import numpy as np
import pytest

from annotator.schema import Finding
from exports.metrics.box_run import box_run
from exports.metrics.cases import Case
from exports.metrics.detection import coco_values, detection_figures
from exports.metrics.mask_detection import mask_precision_figures
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction
from tests.exports.metrics.runs import a_run


def a_case(seed: int, truths: list[Finding], said: list[Finding] | None, **facts: str) -> Case:
    frame = a_frame(seed, **facts)
    prediction = None if said is None else a_prediction(frame, findings=tuple(said))
    return Case(frame, a_correction(frame, is_truth=True, findings=tuple(truths)), prediction)


def test_without_a_true_box_there_is_no_figure() -> None:
    assert detection_figures([a_case(1, [], [a_finding("NT", score=0.9)])]) == {}
    assert detection_figures([]) == {}


def test_a_frame_on_which_the_model_failed_counts_as_one_where_it_found_nothing() -> None:
    found, truth = [a_finding("NT", score=0.9)], [a_finding("NT")]
    failed = detection_figures([a_case(1, truth, found), a_case(2, truth, None)])
    empty = detection_figures([a_case(1, truth, found), a_case(2, truth, [])])
    assert failed == empty
    assert failed["f1"]["iou_50"]["f1"]["value"] == pytest.approx(2 / 3)
    assert failed["coco"]["map50"]["value"] == pytest.approx(51 / 101)


def test_f1_counts_all_structures_and_drops_what_scores_too_little() -> None:
    truth = [a_finding("NT"), a_finding("CSP")]
    said = [a_finding("NT", score=0.9), a_finding("LV", score=0.3)]
    figures = detection_figures([a_case(1, truth, said)])
    assert figures["f1"]["score_threshold"] == 0.0
    assert [figures["f1"]["iou_50"][name]["value"] for name in ("f1", "precision", "recall")] == [0.5, 0.5, 0.5]
    strict = detection_figures([a_case(1, truth, said)], score_threshold=0.5)["f1"]["iou_50"]
    assert [strict[name]["value"] for name in ("f1", "precision", "recall")] == [pytest.approx(2 / 3), 1.0, 0.5]


def test_f1_at_a_stricter_overlap_is_lower() -> None:
    half_off = a_finding("NT", (4, 5, 20, 11), score=0.9)  # IoU .6
    figures = detection_figures([a_case(1, [a_finding("NT")], [half_off])])["f1"]
    assert (figures["iou_50"]["f1"]["value"], figures["iou_75"]["f1"]["value"]) == (1.0, 0.0)


def test_every_figure_says_on_how_many_frames_and_subjects_and_how_sure_it_is() -> None:
    figures = detection_figures(a_run(16))
    for figure in (*figures["coco"].values(), figures["fada"]["fada_map50"], figures["f1"]["iou_50"]["f1"]):
        assert (figure["n"], figure["subjects"]) == (16, 8)
        low, high = figure["ci95"]
        assert low <= figure["value"] <= high
        assert low < high
    assert figures["per_structure"]["CSP"]["ap50"]["ci95"][0] < figures["per_structure"]["CSP"]["ap50"]["value"]
    assert figures == detection_figures(a_run(16))


def test_without_ties_no_order_of_frames_matters() -> None:
    run = box_run([case for case in a_run(16) if case.truth.findings])
    distinct = replace(run, found=replace(run.found, score=np.linspace(0.1, 0.9, len(run.found))))
    assert distinct.tied == 0
    orders = distinct.over_orders(coco_values)
    assert np.allclose(orders, coco_values(distinct), rtol=1e-12)
    figures = detection_figures([a_case(1, [a_finding("NT")], [a_finding("NT", score=0.4)])])
    assert figures["ties"]["detections"] == 0
    assert "over_orders" not in figures["coco"]["map50"]


def test_a_constant_confidence_shows_how_far_the_order_moves_average_precision() -> None:
    figures = detection_figures(a_run(24, error=2.0, constant=True))
    assert figures["ties"]["detections"] == figures["detections"]
    for name in ("map", "map50", "map75"):
        spread = figures["coco"][name]["over_orders"]
        assert spread["lowest"] < spread["mean"] < spread["highest"]
    scored = detection_figures(a_run(24, error=2.0))
    assert scored["fada"]["confidences"] == "all 1.0, as FADA's script gives them"
    assert (
        scored["fada"]["fada_map50"]["over_orders"]["lowest"]
        < scored["fada"]["fada_map50"]["over_orders"]["highest"]
    )


def test_what_fada_calls_map_50_to_95_is_the_mean_of_two() -> None:
    fada = detection_figures(a_run(16))["fada"]
    both = [fada[name]["value"] for name in ("fada_map50", "fada_map75")]
    assert fada["fada_map50_95"]["value"] == pytest.approx(sum(both) / 2)


def test_points_are_not_judged_by_their_box() -> None:
    figures = detection_figures(a_run(8))
    assert "CRL_KP" not in figures["per_structure"]
    assert figures["truths"] == 8 * 4


def test_masks_are_matched_by_their_pixels() -> None:
    ring = a_mask(box=(4, 5, 20, 15))
    ring[7:13, 6:18] = False  # the same box, half of the pixels
    full = a_masked_finding(a_mask(box=(4, 5, 20, 15)), score=0.9)
    case = a_case(1, [a_masked_finding(ring)], [full])
    assert detection_figures([case])["coco"]["map"]["value"] == pytest.approx(1.0)
    figures = mask_precision_figures([case])
    assert figures["mask_map50"]["value"] == pytest.approx(1.0)  # 88 of 160 pixels: IoU .55
    assert figures["mask_map75"]["value"] == 0.0
    assert figures["mask_map"]["value"] == pytest.approx(0.2)
    assert mask_precision_figures([a_case(1, [a_finding("NT")], [full])]) == {}

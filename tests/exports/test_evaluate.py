"""`evaluate`: the figures this tool is judged by, and a block for each kind of figure that the reference allows."""

import json

import pytest

from annotator import taxonomy
from annotator.schema import Finding
from exports.evaluate import Case, evaluate_cases
from exports.evaluation_text import as_text
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction
from tests.exports.metrics.runs import a_run


def brain_case(seed: int, *, found: bool = True, subject: str = "s", plane: str = "Trans-thalamic") -> Case:
    frame = a_frame(seed, subject=subject)
    truth = a_correction(frame, is_truth=True, findings=(a_masked_finding(a_mask()),), plane="Trans-thalamic")
    if not found:
        return Case(frame, truth, None)
    said = a_masked_finding(a_mask(box=(4, 5, 20, 10)), score=0.9)
    return Case(
        frame, truth, a_prediction(frame, findings=(said,), plane=plane, seconds={"head": 0.25, "plane": 0.5})
    )


def profile_case(seed: int, *, found: bool = True) -> Case:
    frame = a_frame(seed, group=f"g{seed // 2}")
    truth = a_correction(frame, is_truth=True, findings=(a_finding("NT"), a_finding("thalami")))
    said = (a_finding("NT", score=0.5),) if found else ()
    plane = taxonomy.FIRST_TRIMESTER_PLANE
    return Case(frame, truth, a_prediction(frame, findings=said, plane=plane))


def test_head_dice_counts_a_head_that_was_not_found_as_zero() -> None:
    figures = evaluate_cases([brain_case(1), brain_case(2, found=False)])
    half = 2 * 80 / (160 + 80)
    assert figures["head_dice"]["value"] == pytest.approx(half / 2)
    assert figures["failed"] == 1


def test_planes_are_judged_among_brain_planes_and_between_families() -> None:
    wrong_plane = brain_case(2, plane="Trans-cerebellum")
    wrong_family = brain_case(3, plane=taxonomy.FIRST_TRIMESTER_PLANE)
    figures = evaluate_cases([brain_case(1), wrong_plane, wrong_family, profile_case(4)])
    assert figures["brain_plane_accuracy"]["value"] == pytest.approx(1 / 3)
    assert figures["brain_plane_accuracy"]["n"] == 3
    assert figures["brain_or_first_trimester_accuracy"]["value"] == pytest.approx(3 / 4)


def test_boxes_are_judged_per_structure_with_their_number() -> None:
    figures = evaluate_cases([profile_case(1), profile_case(2), profile_case(3, found=False)])["boxes"]
    assert figures["per_structure"]["thalami"] == {"ap50": 0.0, "n": 3}
    assert figures["per_structure"]["NT"]["n"] == 3
    assert 0.6 < figures["per_structure"]["NT"]["ap50"] < 0.7
    assert figures["mean_ap50_nt_nasal"]["value"] == figures["per_structure"]["NT"]["ap50"]
    assert figures["mean_ap50"]["value"] == pytest.approx(figures["per_structure"]["NT"]["ap50"] / 2)


def test_intervals_are_by_subject_and_come_again() -> None:
    cases = [brain_case(seed, found=seed % 3 != 0, subject=f"s{seed // 4}") for seed in range(20)]
    first, second = evaluate_cases(cases), evaluate_cases(cases)
    assert first == second
    assert first["head_dice"]["subjects"] == 5
    low, high = first["head_dice"]["ci95"]
    assert low < first["head_dice"]["value"] < high


def test_frames_without_a_subject_are_resampled_by_group_and_then_alone() -> None:
    assert profile_case(4).unit == "g2"
    frame = a_frame()
    assert Case(frame, a_correction(frame), None).unit == frame.frame_id


def test_seconds_per_frame_add_up_the_phases() -> None:
    assert evaluate_cases([brain_case(1), brain_case(2, found=False)])["seconds_per_frame"] == 0.75


def test_no_cases_give_no_figures() -> None:
    assert evaluate_cases([]) == {"cases": 0, "failed": 0}


def test_a_model_that_failed_everywhere_scores_zero_and_not_nothing() -> None:
    figures = evaluate_cases([brain_case(seed, found=False, subject=str(seed)) for seed in range(3)])
    assert figures["failed"] == 3
    assert figures["head_dice"]["value"] == 0.0
    assert figures["brain_plane_accuracy"]["value"] == 0.0
    assert figures["head_dice"]["ci95"] == [0.0, 0.0]
    assert "seconds_per_frame" not in figures


def test_a_single_case_has_an_interval_of_no_width() -> None:
    figure = evaluate_cases([brain_case(1)])["head_dice"]
    assert figure["ci95"] == [figure["value"], figure["value"]]


def test_the_order_of_the_cases_changes_nothing() -> None:
    cases = a_run(10, constant=True)
    assert evaluate_cases(cases) == evaluate_cases(cases[::-1])


def test_each_kind_of_figure_is_there_where_the_reference_has_it() -> None:
    figures = evaluate_cases(a_run(10))
    kinds = {
        "detection",
        "segmentation",
        "mask_precision",
        "classification",
        "keypoints",
        "json_compliance",
        "time",
    }
    assert kinds | {"time", "sanity"} <= set(figures)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    only_plane = a_frame(1)
    case = Case(only_plane, a_correction(only_plane, findings=(), plane="Abdomen"), a_prediction(only_plane))
    assert kinds & set(evaluate_cases([case])) == {"classification"}


def test_the_time_of_a_frame_has_its_spread_in_all_and_by_phase() -> None:
    figures = evaluate_cases([brain_case(1), brain_case(2)])["time"]
    assert [figures["per_frame"][name]["value"] for name in ("mean", "p50", "p95")] == [0.75] * 3
    assert figures["per_phase"]["head"]["mean"]["value"] == 0.25
    assert figures["per_frame"]["mean"]["n"] == 2


def test_the_words_begin_with_what_is_wrong_and_give_each_figure_its_number_and_interval() -> None:
    cases = [brain_case(seed, subject=str(seed)) for seed in range(3)] + [brain_case(9, found=False)]
    lines = as_text({"model_version": "made-up-1", "split": None, **evaluate_cases(cases)}).splitlines()
    assert lines[0] == "FAILED: 1 of 4 frames (25.0 %) have no prediction; they score 0"
    assert lines[1].startswith("CONSTANT CONFIDENCE")
    assert "model_version: made-up-1" in lines
    assert not any(line.startswith("split") for line in lines)
    (dice,) = [line for line in lines if line.strip().startswith("head_dice")]
    assert dice.split()[:5] == ["head_dice", "0.5000", "0.167-0.667", "n", "="]
    assert dice.endswith("n = 4  4 subjects")
    text = "\n".join(lines)
    for title in ("Detection (boxes): frames 4", "Segmentation: frames 4", "Views", "Seconds a frame"):
        assert title in text
    assert "3 of 3 detections share their score with another" in text


def test_the_words_of_a_full_run_name_every_structure() -> None:
    text = as_text(evaluate_cases(a_run(10)))
    for word in ("CSP", "CRL_KP", "dice_macro_fada", "dice_macro_monai", "hd95_mm", "fada_map50", "as_it_stood"):
        assert word in text
    assert "nan" not in text


def test_without_cases_the_words_say_so() -> None:
    assert as_text(evaluate_cases([])) == "cases: 0\nfailed: 0"


def test_a_finding_of_the_reference_without_a_match_is_not_forgotten() -> None:
    frame = a_frame(1)
    missed: tuple[Finding, ...] = ()
    figures = evaluate_cases([Case(frame, a_correction(frame), a_prediction(frame, findings=missed))])
    assert figures["boxes"]["mean_ap50"]["value"] == 0.0
    assert figures["detection"]["f1"]["iou_50"]["f1"]["value"] == 0.0
    assert "precision" in figures["detection"]["f1"]["iou_50"]

"""Figures against a reference: average precision is pycocotools' own, intervals come by subject and come again."""

import contextlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator import taxonomy
from annotator.schema import Finding
from exports.average_precision import ap50_by_structure
from exports.evaluate import Case, evaluate_cases
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction

STRUCTURES = ("NT", "nasal_bone", "thalami")


def random_findings(random: np.random.Generator, count: int, *, scored: bool, ties: bool) -> list[Finding]:
    found = []
    for _ in range(count):
        x, y = random.uniform(0, 20, 2)
        width, height = random.uniform(2, 8, 2)
        score = float(random.integers(0, 4)) / 4 if ties else float(random.random())
        name = STRUCTURES[random.integers(len(STRUCTURES))]
        found.append(a_finding(name, (x, y, x + width, y + height), score=score if scored else None))
    return found


def jittered(random: np.random.Generator, truths: Sequence[Finding], *, ties: bool) -> list[Finding]:
    found = random_findings(random, int(random.integers(0, 3)), scored=True, ties=ties)
    for truth in truths:
        if random.random() < 0.8:
            box = np.array(truth.box_xyxy) + random.normal(0, 0.8, 4)
            box[2:] = np.maximum(box[:2], box[2:])
            score = float(random.integers(0, 4)) / 4 if ties else float(random.random())
            found.append(a_finding(truth.structure, box.tolist(), score=score))
    order = random.permutation(len(found))
    return [found[place] for place in order]


def ap50_by_pycocotools(truths: Sequence[Sequence[Finding]], said: Sequence[Sequence[Finding]], name: str) -> float:
    """As anyone would compute it: COCO from a dictionary, loadRes, evaluate, accumulate at its own thresholds."""

    def boxes(findings: Sequence[Sequence[Finding]]) -> list[dict[str, Any]]:
        return [
            {
                "image_id": image_id,
                "category_id": taxonomy.structure(one.structure).coco_id,
                "bbox": [one.box_xyxy[0], one.box_xyxy[1], one.box_xyxy[2] - one.box_xyxy[0],
                         one.box_xyxy[3] - one.box_xyxy[1]],
                "score": one.score or 0.0,
            }
            for image_id, items in enumerate(findings, 1)
            for one in items
        ]  # fmt: skip

    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, len(truths) + 1)],
        "categories": [{"id": item.coco_id, "name": item.name} for item in taxonomy.STRUCTURES],
        "annotations": [
            {**box, "id": number, "iscrowd": 0, "area": box["bbox"][2] * box["bbox"][3]}
            for number, box in enumerate(boxes(truths), 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(boxes(said)) if any(said) else COCO(), "bbox")
        judge.params.catIds = [taxonomy.structure(name).coco_id]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, 0, 0, -1]  # IoU .50, all areas, 100 detections an image
    return float(np.mean(precision)) if (precision > -1).any() else float("nan")


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_ap50_equals_that_of_pycocotools_bit_for_bit(seed: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    truths = [random_findings(random, int(random.integers(0, 5)), scored=False, ties=False) for _ in range(25)]
    said = [jittered(random, items, ties=ties) for items in truths]
    matches = ap50_by_structure(truths, said, STRUCTURES)
    values = [matches.ap50(name) for name in STRUCTURES]
    assert values == [ap50_by_pycocotools(truths, said, name) for name in STRUCTURES]
    assert any(0 < value < 1 for value in values)


def test_the_order_in_which_structures_are_asked_for_changes_nothing() -> None:
    random = np.random.default_rng(1)
    truths = [random_findings(random, 4, scored=False, ties=False) for _ in range(10)]
    said = [jittered(random, items, ties=False) for items in truths]
    forwards = ap50_by_structure(truths, said, STRUCTURES)
    backwards = ap50_by_structure(truths, said, [*STRUCTURES[::-1], STRUCTURES[0]])
    assert [forwards.ap50(name) for name in STRUCTURES] == [backwards.ap50(name) for name in STRUCTURES]


def test_frames_counted_twice_weigh_as_two_frames() -> None:
    random = np.random.default_rng(2)
    truths = [random_findings(random, 4, scored=False, ties=False) for _ in range(8)]
    said = [jittered(random, items, ties=False) for items in truths]
    chosen = np.array([0, 3, 3, 5, 7, 7, 7])
    resampled = ap50_by_structure(truths, said, STRUCTURES)
    repeated = ap50_by_structure([truths[place] for place in chosen], [said[place] for place in chosen], STRUCTURES)
    for name in STRUCTURES:
        assert resampled.ap50(name, chosen) == repeated.ap50(name)


def test_more_than_a_hundred_detections_in_a_frame_are_cut_as_coco_cuts_them() -> None:
    truth = [[a_finding("NT", (0, 0, 10, 10))]]
    said = [[a_finding("NT", (15, 15, 20, 20), score=0.9)] * 100 + [a_finding("NT", (0, 0, 10, 10), score=0.1)]]
    assert ap50_by_structure(truth, said, ["NT"]).ap50("NT") == ap50_by_pycocotools(truth, said, "NT") == 0.0


@pytest.mark.parametrize(
    ("truths", "said", "expected"),
    [
        ([[]], [[]], math.nan),  # nothing to find
        ([[]], [[a_finding("NT", score=0.9)]], math.nan),  # nothing to find, something found
        ([[a_finding("NT")]], [[]], 0.0),
        ([[a_finding("NT")]], [[a_finding("nasal_bone", score=1.0)]], 0.0),
        ([[a_finding("NT")]], [[a_finding("NT", score=0.0)]], 1.0),
        ([[a_finding("NT")]], [[a_finding("NT", score=None)]], 1.0),  # no score counts as the lowest
        ([[a_finding("NT")], []], [[], [a_finding("NT", score=0.5)]], 0.0),  # right box, wrong frame
        ([], [], math.nan),
    ],
)
def test_average_precision_of_the_plain_cases(truths: Any, said: Any, expected: float) -> None:
    value = ap50_by_structure(truths, said, ["NT"]).ap50("NT")
    assert value == pytest.approx(expected, nan_ok=True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 10**6))
def test_average_precision_lies_between_0_and_1(seed: int) -> None:
    random = np.random.default_rng(seed)
    truths = [random_findings(random, int(random.integers(0, 3)), scored=False, ties=False) for _ in range(4)]
    said = [jittered(random, items, ties=True) for items in truths]
    matches = ap50_by_structure(truths, said, STRUCTURES)
    for name in STRUCTURES:
        value = matches.ap50(name)
        assert math.isnan(value) or 0 <= value <= 1


# Cases


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

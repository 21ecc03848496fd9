"""Which mask belongs to which box."""

import numpy as np
import pytest

from annotator.schema import Finding
from backends.merging import merge_findings
from tests.builders import a_finding, a_mask, a_masked_finding

SIZE_WH = (100, 80)


def outline(box: tuple[int, int, int, int], structure: str = "Brain", **more: float) -> Finding:
    return a_masked_finding(a_mask(SIZE_WH, box), structure, **more)


def test_a_mask_goes_to_the_box_of_the_same_structure_and_keeps_the_detected_box_and_score() -> None:
    box = a_finding("Brain", (10, 10, 50, 50), score=0.8, removed_mass=0.1)
    mask = outline((12, 11, 50, 52), score=0.3, removed_mass=0.4)
    (merged,) = merge_findings([box], [mask])
    assert merged.box_xyxy == (10, 10, 50, 50)
    assert merged.mask_rle == mask.mask_rle
    assert (merged.score, merged.removed_mass) == (0.8, 0.4)
    assert merged.finding_id == box.finding_id


def test_a_box_without_a_score_takes_that_of_its_mask() -> None:
    (merged,) = merge_findings([a_finding("Brain", (10, 10, 50, 50))], [outline((10, 10, 50, 50), score=0.3)])
    assert merged.score == 0.3


@pytest.mark.parametrize(
    ("structure", "box"),
    [
        ("thorax", (10, 10, 50, 50)),  # another structure in the same place
        ("Brain", (60, 10, 90, 50)),  # the same structure elsewhere
        ("Brain", (10, 10, 50, 25)),  # too little of it
    ],
)
def test_what_does_not_belong_together_stays_apart(structure: str, box: tuple[int, int, int, int]) -> None:
    detected, segmented = a_finding("Brain", (10, 10, 50, 50)), outline(box, structure)
    assert merge_findings([detected], [segmented]) == (detected, segmented)


def test_the_best_overlap_wins_and_no_mask_is_used_twice() -> None:
    near, exact = a_finding("Brain", (10, 10, 48, 50)), a_finding("Brain", (10, 10, 50, 50))
    mask = outline((10, 10, 50, 50))
    first, second = merge_findings([near, exact], [mask])
    assert first.mask_rle is None
    assert second.mask_rle == mask.mask_rle


def test_nothing_is_lost_or_doubled_whatever_the_boxes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.integers(0, 60, (6, 2))
        boxes = [(x, y, x + 15, y + 15) for x, y in corners.tolist()]
        detected = [a_finding("Brain", box) for box in boxes[:3]]
        segmented = [outline(box) for box in boxes[3:]]
        merged = merge_findings(detected, segmented)
        masks = [item.mask_rle for item in merged if item.mask_rle is not None]
        assert sorted(mask.counts for mask in masks) == sorted(
            item.mask_rle.counts for item in segmented if item.mask_rle is not None
        )
        assert {item.finding_id for item in detected} <= {item.finding_id for item in merged}

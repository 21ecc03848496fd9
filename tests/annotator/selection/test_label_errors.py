"""The relabel queue finds errors that were planted, the worst first, and lets good labels be."""

import numpy as np
import pytest

from annotator.schema import Finding
from annotator.selection import Checked, likely_errors
from tests.builders import a_finding, a_masked_finding

PLANES = ("Trans-cerebellum", "Trans-thalamic", "Trans-ventricular")


def frames_with_planes(wrong: set[int], count: int = 90) -> list[Checked]:
    """A model that is right and fairly sure; in `wrong` frames the given plane is another one."""
    draw = np.random.default_rng(0)
    frames = []
    for row in range(count):
        truth = row % 3
        sure = draw.uniform(0.6, 0.95)
        chances = {name: sure if place == truth else (1 - sure) / 2 for place, name in enumerate(PLANES)}
        given = (truth + 1) % 3 if row in wrong else truth
        frames.append(Checked(f"f{row:02}", plane=PLANES[given], plane_probabilities=chances))
    return frames


def test_planted_plane_errors_come_first() -> None:
    wrong = {4, 17, 33, 52, 71}
    picks = likely_errors(frames_with_planes(wrong))
    assert {one.frame_id for one in picks[:5]} == {f"f{row:02}" for row in wrong}
    values = [one.value for one in picks]
    assert values == sorted(values)  # type: ignore[type-var]
    assert all("is likelier" in one.reason and one.by == "label-errors" for one in picks)


def test_good_labels_are_left_alone() -> None:
    assert likely_errors(frames_with_planes(set())) == []


def moved(box: tuple[float, ...], by: float) -> Finding:
    return a_finding("NT", (box[0] + by, box[1], box[2] + by, box[3]))


def test_shapes_that_lie_elsewhere_and_what_was_overlooked_are_found_the_worst_first() -> None:
    box = (4.0, 5.0, 24.0, 15.0)
    mask, half = np.zeros((24, 32), bool), np.zeros((24, 32), bool)
    mask[4:20, 4:20], half[4:12, 4:20] = True, True
    frames = [
        Checked("right", labelled=(moved(box, 1),), predicted=(moved(box, 0),)),
        Checked("elsewhere", labelled=(moved(box, 10),), predicted=(moved(box, 0),)),  # IoU 1/3
        Checked("overlooked", predicted=(a_finding("CM", box, score=0.95),)),
        Checked("unsure", predicted=(a_finding("CM", box, score=0.4),)),
        Checked("unscored", predicted=(a_finding("CM", box, score=None),)),
        Checked("missed by the model", labelled=(moved(box, 0),)),
        Checked("half", labelled=(a_masked_finding(half),), predicted=(a_masked_finding(mask),)),  # Dice 2/3
    ]
    picks = likely_errors(frames)
    assert [one.frame_id for one in picks] == ["overlooked", "elsewhere", "half"]
    assert [one.value for one in picks] == pytest.approx([0.05, 1 / 3, 2 / 3], abs=1e-6)
    assert picks[0].reason == "CM may have been overlooked"
    assert "IoU 0.33" in picks[1].reason
    assert "Dice 0.67" in picks[2].reason
    assert likely_errors(frames, 1) == picks[:1]


def test_a_frame_with_two_errors_is_listed_once_for_the_worse() -> None:
    box = (4.0, 5.0, 24.0, 15.0)
    both = Checked("both", labelled=(moved(box, 10),), predicted=(moved(box, 0), a_finding("CM", box, score=0.9)))
    (found,) = likely_errors([both])
    assert found.reason == "CM may have been overlooked"


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [Checked("a")],  # nothing labelled, nothing predicted: skipped
        [
            Checked(f"f{row}", plane=PLANES[0], plane_probabilities={PLANES[0]: 0.1, PLANES[1]: 0.9})
            for row in range(9)
        ],
        [Checked("a", plane=PLANES[0]), Checked("b", plane=PLANES[1])],  # a model that names no plane
    ],
)
def test_too_little_to_tell_finds_nothing(frames: list[Checked]) -> None:
    assert likely_errors(frames) == []


def test_a_plane_that_the_model_does_not_know_is_no_obstacle() -> None:
    odd = Checked("odd", plane="Other", plane_probabilities=dict.fromkeys(PLANES, 1 / 3))
    assert isinstance(likely_errors([*frames_with_planes({4}), odd]), list)

"""What the queue asks of the embedded model: features of frames, and how steady an answer is over changed views."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.phantom import simulate_frame
from annotator.schema import Finding, LoadedFrame, Prediction
from backends.embedded import EmbeddedBackend
from backends.embedded.views import disagreement_of_views
from tests.backends.embedded.test_embedded import loaded
from tests.builders import some_pixels

VIEWS = 4


def a_blob() -> LoadedFrame:
    pixels = np.zeros((120, 160), np.uint8)
    cv2.ellipse(pixels, (70, 60), (40, 25), 20, 0, 360, 200, -1)
    return loaded(pixels)


def outlines_what_is_bright(frame: LoadedFrame) -> Prediction:
    rle = mask_to_rle(frame.pixels > 60)
    findings = (Finding(structure="Brain", box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle),)
    return Prediction(frame_id="f", model_version="m", findings=findings, plane="Other")


def boxes_what_is_bright(frame: LoadedFrame) -> Prediction:
    (finding,) = outlines_what_is_bright(frame).findings
    box = Finding(structure="NT", box_xyxy=finding.box_xyxy)
    return Prediction(frame_id="f", model_version="m", findings=(box,), plane="Other")


def finds_nothing(frame: LoadedFrame) -> Prediction:
    return Prediction(frame_id="f", model_version="m", plane="Other")


def always_the_same_place(frame: LoadedFrame) -> Prediction:
    return boxes_what_is_bright(a_blob())


class Scripted:
    """Answers in turn, whatever it is shown."""

    def __init__(self, planes: Sequence[str]) -> None:
        self.planes = list(planes)

    def __call__(self, frame: LoadedFrame) -> Prediction:
        return Prediction(frame_id="f", model_version="m", plane=self.planes.pop(0))


def test_answers_that_follow_the_frame_into_every_view_agree() -> None:
    assert disagreement_of_views(outlines_what_is_bright, a_blob()) < 0.01
    assert disagreement_of_views(boxes_what_is_bright, a_blob()) < 0.05
    assert disagreement_of_views(finds_nothing, a_blob()) == 0


def test_answers_that_stay_behind_when_the_frame_moves_do_not() -> None:
    stays, follows = (
        disagreement_of_views(answer, a_blob()) for answer in (always_the_same_place, boxes_what_is_bright)
    )
    assert stays > follows + 0.01


@pytest.mark.parametrize("others", range(VIEWS + 1))
def test_each_view_of_another_plane_counts_half_its_share(others: int) -> None:
    planes = ["Other", *["Abdomen"] * others, *["Other"] * (VIEWS - others)]
    assert disagreement_of_views(Scripted(planes), a_blob()) == pytest.approx(0.5 * others / VIEWS)


def test_a_finding_that_only_one_answer_holds_counts_as_no_overlap() -> None:
    answers = iter([outlines_what_is_bright(a_blob()), *[finds_nothing(a_blob())] * VIEWS])
    assert disagreement_of_views(lambda _: next(answers), a_blob()) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def backend() -> EmbeddedBackend:
    return EmbeddedBackend()


def test_a_clear_head_is_answered_steadily_and_a_blank_frame_too(backend: EmbeddedBackend) -> None:
    assert backend.disagreement(loaded(simulate_frame("Trans-thalamic", seed=3).pixels)) < 0.1
    assert backend.disagreement(loaded(np.zeros((90, 120), np.uint8))) == 0


def test_features_of_a_frame_are_the_same_alone_and_in_a_batch_and_near_those_of_its_like(
    backend: EmbeddedBackend,
) -> None:
    frames = [simulate_frame(plane, seed=seed).pixels for plane in ("Trans-thalamic",) for seed in (1, 2)]
    frames += [simulate_frame("First-trimester mid-sagittal", seed=1).pixels, some_pixels(1, (90, 70), colour=True)]
    features = backend.embed([loaded(pixels) for pixels in frames])
    assert features.shape == (4, 256)
    assert features.dtype == np.float32
    for row, pixels in zip(features, frames, strict=True):
        assert np.array_equal(row, backend.embed([loaded(pixels)])[0])
    distances = np.linalg.norm(features - features[0], axis=1)
    assert distances[1] < distances[2]
    assert len(backend.embed([])) == 0

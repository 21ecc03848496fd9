"""Findings as Label Studio regions and back: exact, within its rules, and recognised when they return."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface.interface import LabelInterface

from annotator import taxonomy
from annotator.geometry import (
    clip_box_xyxy,
    ellipse_to_box_xyxy,
    ellipse_to_mask,
    mask_to_rle,
    points_to_box_xyxy,
    rle_to_mask,
    rotated_box_corners,
)
from annotator.labelstudio.brush import decode_mask
from annotator.labelstudio.config import labelling_config
from annotator.labelstudio.diff import result_to_findings
from annotator.labelstudio.regions import PREFIX, finding_to_regions, prediction_to_result
from annotator.schema import Ellipse, Finding, Frame, Keypoint, RotatedBox
from annotator.taxonomy import Kind
from tests.builders import a_finding, a_frame, a_mask, a_masked_finding, a_prediction

FRAME = a_frame(size_wh=(130, 97))
INTERFACE = LabelInterface(labelling_config())

SCORES = st.none() | st.floats(0, 1)
BOXED = [item.name for item in taxonomy.structures_of_kind(Kind.BOX)]
MASKED = [item.name for item in taxonomy.structures_of_kind(Kind.MASK)]


def on_image(size: int, low: float = 0.0) -> st.SearchStrategy[float]:
    """Coordinates as they are drawn or computed: any millionth of a pixel."""
    return st.integers(int(low * 1e6), size * 10**6).map(lambda value: value / 1e6)


@st.composite
def boxes(draw: st.DrawFn) -> Finding:
    x = sorted(draw(st.lists(on_image(130), min_size=2, max_size=2, unique=True)))
    y = sorted(draw(st.lists(on_image(97), min_size=2, max_size=2, unique=True)))
    return a_finding(draw(st.sampled_from(BOXED)), (x[0], y[0], x[1], y[1]), score=draw(SCORES))


@st.composite
def ellipses(draw: st.DrawFn) -> Finding:
    ellipse = Ellipse(
        cx=draw(on_image(130)),
        cy=draw(on_image(97)),
        rx=draw(on_image(60, 2.0)),
        ry=draw(on_image(45, 2.0)),
        angle_deg=draw(st.integers(0, 359)) + draw(st.sampled_from([0.0, 0.25, 0.123456])),
    )
    mask = ellipse_to_mask(ellipse, FRAME.size_wh)
    return a_finding(
        draw(st.sampled_from(MASKED)),
        clip_box_xyxy(ellipse_to_box_xyxy(ellipse), FRAME.size_wh),
        ellipse=ellipse,
        mask_rle=mask_to_rle(mask) if mask.any() else None,
        score=draw(SCORES),
    )


@st.composite
def masks(draw: st.DrawFn) -> Finding:
    """With holes, parts and single pixels: the noise of a seed, at least one pixel set."""
    mask = np.random.default_rng(draw(st.integers(0, 99))).random((97, 130)) < draw(st.floats(0.001, 0.9))
    mask[draw(st.integers(0, 96)), draw(st.integers(0, 129))] = True
    return a_masked_finding(mask, draw(st.sampled_from(MASKED)), score=draw(SCORES))


@st.composite
def rotated_boxes(draw: st.DrawFn) -> Finding:
    box = RotatedBox(
        cx=draw(on_image(80, 50.0)),
        cy=draw(on_image(50, 40.0)),
        width=draw(on_image(40, 1.0)),
        height=draw(on_image(30, 1.0)),
        angle_deg=float(draw(st.integers(1, 359))),
    )
    return a_finding("CSP", points_to_box_xyxy(rotated_box_corners(box)), rotated_box=box, score=draw(SCORES))


@st.composite
def keypoints(draw: st.DrawFn) -> Finding:
    structure = draw(st.sampled_from(sorted(taxonomy.KEYPOINT_NAMES)))
    points = tuple(
        Keypoint(name=name, x=draw(on_image(130)), y=draw(on_image(97)), visibility=draw(st.sampled_from([1, 2])))
        for name in taxonomy.KEYPOINT_NAMES[structure]
    )
    box = points_to_box_xyxy(np.array([(point.x, point.y) for point in points]))
    return a_finding(structure, box, keypoints=points, score=draw(SCORES))


EVERY_SHAPE = boxes() | ellipses() | masks() | rotated_boxes() | keypoints()


def read_back(finding: Finding, frame: Frame = FRAME) -> list[Finding]:
    findings, _, issues = result_to_findings(finding_to_regions(finding, frame), frame, None)
    assert issues == []
    return findings


def as_read(finding: Finding) -> Finding:
    """Regions without a parent do not say who made them."""
    return finding.model_copy(update={"origin": "manual"})


def errors_of(finding: Finding, frame: Frame = FRAME) -> list[str]:
    result = prediction_to_result(a_prediction(frame, findings=(finding,), plane="Abdomen", plane_score=0.5), frame)
    return list(INTERFACE.validate_prediction({"result": result, "score": 0.5}, return_errors=True))


@given(boxes() | ellipses() | masks() | keypoints())
def test_every_shape_comes_back_as_it_went(finding: Finding) -> None:
    assert read_back(finding) == [as_read(finding)]


@given(rotated_boxes())
def test_a_turned_box_comes_back_within_a_millionth_of_a_pixel(finding: Finding) -> None:
    (found,) = read_back(finding)
    assert found.rotated_box is not None
    assert finding.rotated_box is not None
    assert list(found.rotated_box.model_dump().values()) == pytest.approx(
        list(finding.rotated_box.model_dump().values()), abs=2e-6
    )
    assert found.box_xyxy == pytest.approx(finding.box_xyxy, abs=1e-5)


@given(st.lists(EVERY_SHAPE, max_size=4, unique_by=lambda finding: finding.finding_id))
@settings(max_examples=50)
def test_with_its_prediction_every_finding_comes_back_exactly(findings: list[Finding]) -> None:
    prediction = a_prediction(FRAME, findings=tuple(findings), plane="Trans-thalamic")
    found, plane, issues = result_to_findings(prediction_to_result(prediction, FRAME), FRAME, prediction)
    kept = [one.model_copy(update={"parent_finding_id": one.finding_id}) for one in findings]
    assert (found, plane, issues) == (kept, "Trans-thalamic", [])


@given(EVERY_SHAPE)
@settings(max_examples=50)
def test_label_studio_accepts_whatever_is_sent(finding: Finding) -> None:
    assert errors_of(finding) == []


OUTSIDE = a_finding(box_xyxy=(-20.0, -5.5, 400.0, 300.0))
HUGE = Ellipse(cx=65, cy=48, rx=120, ry=110, angle_deg=10)
TALL = Ellipse(cx=65, cy=48, rx=30, ry=60, angle_deg=90)


@pytest.mark.parametrize(
    "finding",
    [
        OUTSIDE,
        a_finding("Brain", ellipse_to_box_xyxy(HUGE), ellipse=HUGE),
        a_finding("Brain", ellipse_to_box_xyxy(TALL), ellipse=TALL),
        a_finding("Brain", ellipse=Ellipse(cx=-30, cy=10, rx=20, ry=20)),
        a_finding("Brain", ellipse=Ellipse(cx=-30, cy=10, rx=5, ry=5)),  # nothing of it is on the image
        a_finding("CSP", rotated_box=RotatedBox(cx=5, cy=5, width=60, height=40, angle_deg=-30)),
        a_finding("CRL_KP"),  # an annotation by points, without any
        a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=0, y=0, visibility=0),)),
        a_masked_finding(np.zeros((97, 130), bool)),
        a_finding("CSP", (3, 3, 3, 3)),
    ],
)
def test_what_leaves_the_image_or_is_empty_is_sent_in_a_form_that_is_accepted(finding: Finding) -> None:
    assert errors_of(finding) == []
    for region in finding_to_regions(finding, FRAME):
        numbers = [number for number in region["value"].values() if isinstance(number, float)]
        assert all(0 <= number <= 360 for number in numbers)


def test_percents_stay_on_the_image() -> None:
    (region,) = finding_to_regions(OUTSIDE, FRAME)
    assert {key: region["value"][key] for key in ("x", "y", "width", "height")} == {
        "x": 0.0,
        "y": 0.0,
        "width": 100.0,
        "height": 100.0,
    }


@pytest.mark.parametrize("structure", [item.name for item in taxonomy.STRUCTURES])
def test_any_structure_can_be_sent_with_anything_that_a_model_says_of_it(structure: str) -> None:
    ellipse = Ellipse(cx=60, cy=40, rx=20, ry=10)
    rle = mask_to_rle(ellipse_to_mask(ellipse, FRAME.size_wh))
    points = (Keypoint(name="a", x=4, y=4),)
    for extra in ({}, {"mask_rle": rle}, {"ellipse": ellipse}, {"keypoints": points}):
        assert errors_of(a_finding(structure, (40, 30, 80, 50), **extra)) == []


def test_the_shape_that_a_sonographer_moves_is_sent() -> None:
    ellipse = Ellipse(cx=60, cy=40, rx=20, ry=10)
    rle = mask_to_rle(ellipse_to_mask(ellipse, FRAME.size_wh))
    points = (Keypoint(name="crown", x=4, y=4), Keypoint(name="rump", x=9, y=9))

    def kinds(finding: Finding) -> list[str]:
        return [region["type"] for region in finding_to_regions(finding, FRAME)]

    assert kinds(a_finding("Brain", ellipse=ellipse, mask_rle=rle)) == ["ellipselabels"]
    assert kinds(a_finding("Brain", mask_rle=rle)) == ["brushlabels"]
    assert kinds(a_finding("CRL_KP", keypoints=points)) == ["keypointlabels", "keypointlabels"]
    assert kinds(a_finding("CSP", rotated_box=RotatedBox(cx=9, cy=9, width=4, height=2, angle_deg=9))) == [
        "rectanglelabels"
    ]
    assert kinds(a_finding("CSP", mask_rle=rle)) == ["rectanglelabels"]  # CSP is annotated by boxes


def test_a_region_says_whose_it_is_of_what_size_and_how_sure() -> None:
    finding = a_finding("CSP", (13.0, 9.7, 26.0, 19.4), score=0.75)
    (region,) = finding_to_regions(finding, FRAME)
    assert region["id"] == f"{PREFIX}{finding.finding_id}"
    assert (region["original_width"], region["original_height"], region["score"]) == (130, 97, 0.75)
    assert region["value"]["rectanglelabels"] == ["CSP"]
    assert [region["value"][key] for key in ("x", "y", "width", "height")] == pytest.approx([10, 10, 10, 10])
    assert "score" not in finding_to_regions(a_finding(), FRAME)[0]


def test_rectangles_turn_about_their_top_left_corner_in_pixels() -> None:
    box = RotatedBox(cx=50, cy=40, width=20, height=10, angle_deg=90)
    (region,) = finding_to_regions(a_finding("CSP", rotated_box=box), FRAME)
    # Turned by 90 degrees clockwise, the corner that was top-left is now top-right.
    assert region["value"]["x"] * 1.30 == pytest.approx(55.0)
    assert region["value"]["y"] * 0.97 == pytest.approx(30.0)
    assert region["value"]["rotation"] == 90


def test_an_ellipse_too_long_for_one_axis_is_sent_with_its_axes_exchanged() -> None:
    (region,) = finding_to_regions(a_finding("Brain", ellipse=TALL), FRAME)
    assert region["type"] == "ellipselabels"
    found = read_back(a_finding("Brain", ellipse=TALL))[0].ellipse
    assert found is not None
    assert (ellipse_to_mask(found, FRAME.size_wh) == ellipse_to_mask(TALL, FRAME.size_wh)).all()


def test_an_ellipse_that_label_studio_would_refuse_is_painted() -> None:
    (region,) = finding_to_regions(a_finding("Brain", ellipse=HUGE), FRAME)
    painted = decode_mask(region["value"]["rle"], FRAME.size_wh)
    assert (painted == ellipse_to_mask(HUGE, FRAME.size_wh)).all()


def test_a_mask_goes_out_bit_for_bit() -> None:
    mask = a_mask(FRAME.size_wh, (10, 10, 60, 60))
    mask[20:30, 20:30] = False
    mask[90, 120] = True
    finding = a_masked_finding(mask)
    (region,) = finding_to_regions(finding, FRAME)
    assert (decode_mask(region["value"]["rle"], FRAME.size_wh) == mask).all()
    assert finding.mask_rle is not None
    assert (rle_to_mask(finding.mask_rle) == mask).all()


def test_the_plane_is_a_choice_of_its_own() -> None:
    prediction: Any = a_prediction(FRAME, findings=(), plane="Femur", plane_score=0.25)
    (region,) = prediction_to_result(prediction, FRAME)
    assert (region["from_name"], region["type"], region["score"]) == ("plane", "choices", 0.25)
    assert region["value"] == {"choices": ["Femur"]}

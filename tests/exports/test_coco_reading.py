"""COCO in: our own files come back as they left, and no file of others, however broken, stops the reading."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as judge

from annotator.errors import CocoError
from annotator.geometry import mask_to_rle, rle_to_box_xyxy, rle_to_mask
from annotator.schema import (
    Change,
    Correction,
    Ellipse,
    Finding,
    Inconsistency,
    Interpretation,
    Keypoint,
    Origin,
    ParseIssue,
    Prediction,
    RotatedBox,
)
from exports.coco import export_coco, write_annotations
from exports.coco_masks import coco_rle_runs
from exports.coco_reading import CocoFile, read_coco
from exports.coco_records import MaskForm
from exports.entries import Entry
from tests.annotator.test_geometry import HOSTILE
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction

IDENTITIES = {"finding_id", "parent_finding_id"}


def written(folder: Path, document: Any) -> Path:
    path = folder / "annotations.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def a_document(*annotations: Any, **more: Any) -> dict[str, Any]:
    """One image of 32 x 24 with Brain (1) and CSP (2), and these annotations."""
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 24}],
        "categories": [{"id": 1, "name": "Brain"}, {"id": 2, "name": "CSP"}],
        "annotations": list(annotations),
    }
    return document | more


def an_annotation(**more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 2, "bbox": [4, 5, 16, 10], **more}


def read(folder: Path, document: Any) -> CocoFile:
    return read_coco(written(folder, document))


def only_finding(folder: Path, **more: Any) -> Finding:
    content = read(folder, a_document(an_annotation(**more)))
    (finding,) = content.images[0].findings
    assert not content.oddities
    return finding


def what(finding: Finding) -> dict[str, Any]:
    return finding.model_dump(exclude=IDENTITIES)


# Our own


def round_trip(folder: Path, *findings: Finding) -> list[Finding]:
    frame = a_frame()
    entry = Entry(frame, a_correction(frame, findings=findings))
    stored = folder / "stored.png"
    stored.write_bytes(b"stands for the image")
    export_coco(folder / "out", [entry], {frame.frame_id: stored}, which="truth")
    content = read_coco(folder / "out" / "annotations.json")
    assert not content.oddities
    return list(content.images[0].findings)


@pytest.mark.parametrize("make", [make for make in HOSTILE if make().shape == (24, 32) and make().any()])
def test_masks_of_our_own_export_come_back_bit_for_bit(make: Any, tmp_path: Path) -> None:
    finding = a_masked_finding(make())
    (back,) = round_trip(tmp_path, finding)
    assert what(back) == what(finding)


def test_everything_a_finding_has_comes_back(tmp_path: Path) -> None:
    findings = [
        a_finding(score=1 / 3),
        a_finding("NT", origin="manual"),
        a_masked_finding(a_mask(), ellipse=Ellipse(cx=0.1, cy=0.2, rx=1 / 3, ry=7, angle_deg=-12.5)),
        a_finding("LV", rotated_box=RotatedBox(cx=5, cy=6, width=1 / 7, height=3, angle_deg=0.1)),
        a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=0.1, y=2), Keypoint(name="rump", x=3, y=4))),
        a_masked_finding(a_mask()).model_copy(update={"box_xyxy": (1.0, 2.0, 30.5, 20.25)}),
    ]
    assert [what(one) for one in round_trip(tmp_path, *findings)] == [what(one) for one in findings]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.tuples(*[st.floats(0, 24) for _ in range(4)]))
def test_boxes_come_back_to_the_last_digit(tmp_path: Path, four: tuple[float, ...]) -> None:
    box = (min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
    (back,) = round_trip(tmp_path, a_finding(box_xyxy=box))
    assert back.box_xyxy == box


def test_what_is_known_of_a_frame_comes_back(tmp_path: Path) -> None:
    frame = a_frame(
        0, "HC_017.png", subject="017", site="Leuven", scanner="V", split="val", source="hc18", group="g",
        pixel_spacing_mm=(0.1, 0.2), simulated=True,
    )  # fmt: skip
    stored = tmp_path / "stored.png"
    stored.write_bytes(b"x")
    entry = Entry(frame, a_prediction(frame, plane="Trans-thalamic", plane_score=0.5))
    export_coco(tmp_path / "out", [entry], {frame.frame_id: stored}, which="predicted")
    (image,) = read_coco(tmp_path / "out" / "annotations.json").images
    assert image.plane == "Trans-thalamic"
    assert image.size_wh == frame.size_wh
    for fact in ("subject", "site", "scanner", "split", "source", "group", "pixel_spacing_mm", "simulated"):
        assert getattr(image.facts, fact) == getattr(frame, fact), fact


FRAME = a_frame()
EVERYTHING = (
    a_finding(score=1 / 3, removed_mass=0.125, origin="prediction-changed", parent_finding_id="fnd_before"),
    a_finding("NT", origin="manual"),
    a_masked_finding(a_mask(), ellipse=Ellipse(cx=0.1, cy=0.2, rx=1 / 3, ry=7, angle_deg=-12.5)),
    a_masked_finding(a_mask() ^ a_mask(box=(6, 7, 9, 9)), "cardiac", score=0.0),
    a_masked_finding(np.zeros((24, 32), bool), "thorax"),
    a_finding("LV", rotated_box=RotatedBox(cx=5, cy=6, width=1 / 7, height=3, angle_deg=0.1)),
    a_finding("CRL_KP", keypoints=(Keypoint(name="crown", x=0.1, y=2), Keypoint(name="rump", x=3, y=4))),
    a_finding("Brain", keypoints=(Keypoint(name="midline", x=0.1, y=2, visibility=1),)),
    a_masked_finding(a_mask()).model_copy(update={"box_xyxy": (1.0, 2.0, 30.5, 20.25)}),
    a_finding("head", (-3.5, 2.0, 40.0, 90.0)),  # a region that leaves the frame
)
INTERPRETATION = Interpretation(anatomical_structures="skull, “CSP”\n", gestational_age="20 weeks")
A_CORRECTION = a_correction(
    FRAME,
    "dr é",
    findings=EVERYTHING,
    prediction_id="prd_1",
    plane="Trans-thalamic",
    interpretation=INTERPRETATION,
    deleted_finding_ids=("fnd_gone",),
    changes={EVERYTHING[0].finding_id: Change.CHANGED, "fnd_gone": Change.DELETED},
    reasons=("wrong border", "other"),
    issues=(ParseIssue(phase="brush", reason="empty", excerpt="rle"),),
    lead_time_s=12.5,
    external_id="17",
    external_updated_at="2026-01-01",
)
A_PREDICTION = a_prediction(
    FRAME,
    "fada-1",
    findings=EVERYTHING,
    plane="Trans-thalamic",
    plane_score=1 / 7,
    interpretation=INTERPRETATION,
    mapping_tier="view",
    mapping_evidence=('view: "Trans-thalamic"',),
    asked_for={"detect": ("Brain", "CSP")},
    inconsistencies=(Inconsistency(structure="CSP", kind="named_not_found", evidence="skull"),),
    issues=(ParseIssue(phase="detect", reason="cut"),),
    provenance={"seed": 1, "weights": "ab", "temperature": 0.1, "adapter": None},
    raw_texts={"detect": '[{"bbox_2d": [1, 2'},
    seconds={"detect": 0.1},
)


@pytest.mark.parametrize("said", [A_CORRECTION, A_PREDICTION, a_correction(FRAME, findings=(), skipped=True)])
@pytest.mark.parametrize("form", MaskForm)
def test_a_whole_record_comes_back_equal(said: Correction | Prediction, form: MaskForm, tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    write_annotations(path, [Entry(FRAME, said)], which="corrected", masks=form)
    content = read_coco(path)
    assert not content.oddities
    assert content.images[0].said == said


sizes = st.floats(0, 40, exclude_min=True)
places = st.floats(-10, 50)
shapes = st.fixed_dictionaries(
    {"structure": st.sampled_from(["Brain", "CSP", "CRL_KP"]), "origin": st.sampled_from(list(Origin))},
    optional={
        "mask": npst.arrays(bool, (24, 32)),
        "ellipse": st.builds(Ellipse, cx=places, cy=places, rx=sizes, ry=sizes, angle_deg=places),
        "rotated_box": st.builds(RotatedBox, cx=places, cy=places, width=sizes, height=sizes, angle_deg=places),
        "keypoints": st.lists(
            st.builds(Keypoint, name=st.text(max_size=3), x=places, y=places, visibility=st.integers(0, 2)),
            max_size=4,
        ).map(tuple),
        "score": st.floats(0, 1),
        "removed_mass": st.floats(0, 1),
        "parent_finding_id": st.text(max_size=5),
    },
)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    shape = draw(shapes)
    mask = shape.pop("mask", None)
    x, y, width, height = (draw(side) for side in (places, places, sizes, sizes))
    box = (x, y, x + width, y + height)
    rle = None if mask is None else mask_to_rle(mask)
    return Finding(
        box_xyxy=box if rle is None or draw(st.booleans()) else rle_to_box_xyxy(rle), mask_rle=rle, **shape
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.lists(findings(), max_size=4), st.sampled_from(MaskForm))
def test_findings_of_any_shape_come_back_equal(tmp_path: Path, drawn: list[Finding], form: MaskForm) -> None:
    said = a_correction(FRAME, findings=tuple(drawn))
    write_annotations(tmp_path / "annotations.json", [Entry(FRAME, said)], which="truth", masks=form)
    content = read_coco(tmp_path / "annotations.json")
    assert content.images[0].said == said
    assert not content.oddities


def test_a_record_that_another_tool_edited_keeps_its_findings_and_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    write_annotations(path, [Entry(FRAME, A_CORRECTION)], which="corrected")
    document = json.loads(path.read_bytes())
    del document["annotations"][0]  # of which the record says that it was changed
    content = read(tmp_path, document)
    assert content.images[0].said is None
    assert len(content.images[0].findings) == len(EVERYTHING) - 1
    assert [oddity for oddity in content.oddities if "edited elsewhere" in oddity]


# Those of others


def test_a_plain_coco_box_is_read(tmp_path: Path) -> None:
    finding = only_finding(tmp_path)
    assert (finding.structure, finding.box_xyxy, finding.score) == ("CSP", (4, 5, 20, 15), None)
    assert finding.origin == "manual"


def test_polygons_uncompressed_and_compressed_rle_give_the_same_mask(tmp_path: Path) -> None:
    mask = a_mask()
    rle = mask_to_rle(mask)
    polygon = [[4, 5, 20, 5, 20, 15, 4, 15]]
    for segmentation in (
        polygon,
        {"size": [24, 32], "counts": rle.counts},
        {"size": [24, 32], "counts": coco_rle_runs(rle.counts)},
    ):
        finding = only_finding(tmp_path, segmentation=segmentation)
        assert finding.mask_rle == rle


def test_rle_with_runs_of_no_length_means_the_same(tmp_path: Path) -> None:
    runs = coco_rle_runs(mask_to_rle(a_mask()).counts)
    padded = [runs[0], 0, 0, *runs[1:], 0, 0]
    assert only_finding(tmp_path, segmentation={"size": [24, 32], "counts": padded}).mask_rle == mask_to_rle(
        a_mask()
    )


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_run_lengths_are_read_as_pycocotools_writes_them(runs: list[int]) -> None:
    mask = np.zeros((8, 9), bool)
    mask.ravel()[np.unique(np.array(runs) % 72)] = True
    rle = mask_to_rle(mask)
    flat = rle_to_mask(rle).ravel(order="F")
    read_runs = coco_rle_runs(rle.counts)
    np.testing.assert_array_equal(np.repeat(np.arange(len(read_runs)) % 2 == 1, read_runs), flat)
    again = judge.frPyObjects({"size": [8, 9], "counts": read_runs}, 8, 9)
    assert again["counts"].decode() == rle.counts


def test_categories_are_matched_by_name_whatever_their_ids(tmp_path: Path) -> None:
    document = a_document(an_annotation(category_id=77), categories=[{"id": 77, "name": "Brain"}])
    assert read(tmp_path, document).images[0].findings[0].structure == "Brain"


def test_a_byte_order_mark_is_let_pass(tmp_path: Path) -> None:
    content = read(tmp_path, b"\xef\xbb\xbf" + json.dumps(a_document(an_annotation())).encode())
    assert len(content.images[0].findings) == 1


def test_annotations_can_be_left_unread(tmp_path: Path) -> None:
    path = written(tmp_path, a_document(an_annotation(), {"bad": "one"}))
    content = read_coco(path, with_annotations=False)
    assert content.images[0].findings == ()
    assert not content.oddities


def test_the_attributes_of_the_development_data_are_understood(tmp_path: Path) -> None:
    image = {
        "id": 1, "file_name": "images/001.png", "width": 32, "height": 24, "subject_id": 17, "split": "val",
        "duplicate_group": "g1", "us_machine": "Voluson", "pixel_size_mm": 0.12, "plane": "Trans-thalamic",
    }  # fmt: skip
    (read_image,) = read(tmp_path, a_document(images=[image])).images
    facts = read_image.facts
    assert (facts.subject, facts.split, facts.group, facts.scanner) == ("17", "val", "g1", "Voluson")
    assert facts.pixel_spacing_mm == (0.12, 0.12)
    assert read_image.plane == "Trans-thalamic"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"{",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xfe{\x00}\x00",
        b"null",
        b"[]",
        b'"images"',
        b"17",
        b"{}",
        b'{"images": null}',
        b'{"images": {}}',
        b'{"images": "a.png"}',
        b'{"annotations": [], "categories": []}',
        b'{"images": [], "annotations": [NaN]',
        b"[" * 5000,
        b'{"images": [{"id": 1e999}]}',
    ],
)
def test_what_is_no_coco_file_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CocoError) as error:
        read(tmp_path, content)
    assert "annotations.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_coco_file_that_is_not_there_or_is_a_folder_is_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(CocoError, match="cannot read"):
            read_coco(path)


RLE = {"size": [24, 32], "counts": mask_to_rle(a_mask()).counts}
SQUARE = [4, 5, 20, 5, 20, 15, 4, 15]

# What is wrong, and what is said of it. Each stands in one annotation; the image and its good annotation stay.
BROKEN_ANNOTATIONS: list[tuple[dict[str, Any], str]] = [
    ({"category_id": 99}, "unknown structure 'category 99'"),
    ({"category_id": None}, "unknown structure"),
    ({"category_id": [1]}, "unknown structure"),
    ({"category_id": {"id": 1}}, "unknown structure"),
    ({"category_id": "2"}, "unknown structure"),
    ({"image_id": 99}, "an image that the file does not hold"),
    ({"image_id": None}, "an image that the file does not hold"),
    ({"image_id": [1]}, "an image that the file does not hold"),
    ({"image_id": "1"}, "an image that the file does not hold"),
    ({"bbox": None}, "neither a bbox nor a segmentation"),
    ({"bbox": []}, "unpack"),
    ({"bbox": [1, 2, 3]}, "unpack"),
    ({"bbox": [1, 2, 3, 4, 5]}, "unpack"),
    ({"bbox": [1, 2, None, 4]}, "unusable annotation"),
    ({"bbox": ["a", 2, 3, 4]}, "unusable annotation"),
    ({"bbox": [[1], 2, 3, 4]}, "unusable annotation"),
    ({"bbox": {"x": 1}}, "neither a bbox nor a segmentation"),
    ({"bbox": [4, 5, -3, 4]}, "x_min, y_min, x_max, y_max"),
    ({"bbox": [1e308, 5, 1e308, 4]}, "must be finite"),
    ({"bbox": [-1e308, 5, 2, 4]}, "outside of the image"),
    ({"bbox": [100, 5, 3, 4]}, "outside of the image"),
    ({"score": 1.5}, "less than or equal to 1"),
    ({"score": -1}, "greater than or equal to 0"),
    ({"score": "sure"}, "number"),
    ({"score": [0.5]}, "number"),
    ({"segmentation": [[1, 1, 9, 9]]}, "fewer than three points"),
    ({"segmentation": [[]]}, "fewer than three points"),
    ({"segmentation": [SQUARE, [1, 1, 9, 9]]}, "fewer than three points"),
    ({"segmentation": [[1, 1, 9, 9, 5]]}, "unusable annotation"),
    ({"segmentation": SQUARE}, "unusable annotation"),  # not a list of polygons
    ({"segmentation": [["x", 1, 9, 9, 5, 3]]}, "unusable annotation"),
    ({"segmentation": [[None, 1, 9, 9, 5, 3]]}, "coordinates that no image has"),
    ({"segmentation": [[1e300, 1, 9, 9, 5, 3]]}, "coordinates that no image has"),
    ({"segmentation": [[1e308, -1e308, -1e308, 1e308, 5, 3]]}, "coordinates that no image has"),
    ({"segmentation": [{"x": 1}]}, "unusable annotation"),
    ({"segmentation": [None]}, "unusable annotation"),
    ({"segmentation": "polygon"}, "neither polygons nor RLE"),
    ({"segmentation": 17}, "neither polygons nor RLE"),
    ({"segmentation": True}, "neither polygons nor RLE"),
    ({"segmentation": [[40, 40, 50, 40, 50, 50]]}, "without area"),  # beside the image
    ({"segmentation": [[4, 5, 4, 5, 4, 5]]}, "without area"),
    ({"segmentation": {"size": [24, 32], "counts": [24 * 32]}}, "without area"),
    ({"segmentation": {"counts": RLE["counts"]}}, "unusable annotation"),
    ({"segmentation": {"size": [24, 32]}}, "unusable annotation"),
    ({"segmentation": RLE | {"size": [32, 24]}}, "not the image's [24, 32]"),
    ({"segmentation": RLE | {"size": None}}, "not the image's"),
    ({"segmentation": RLE | {"size": ["24", "32"]}}, "not the image's"),
    ({"segmentation": RLE | {"size": [24, 32, 1]}}, "not the image's"),
    ({"segmentation": RLE | {"counts": RLE["counts"][:-1]}}, "unusable annotation"),  # cut off
    ({"segmentation": RLE | {"counts": RLE["counts"] + "5"}}, "cover"),
    ({"segmentation": RLE | {"counts": ""}}, "cover"),
    ({"segmentation": RLE | {"counts": "é"}}, "unusable annotation"),
    ({"segmentation": RLE | {"counts": "\x00\x01"}}, "none of theirs"),
    ({"segmentation": RLE | {"counts": "o" * 1000}}, "no image has"),
    ({"segmentation": RLE | {"counts": "`"}}, "cut off"),
    ({"segmentation": RLE | {"counts": None}}, "whole numbers"),
    ({"segmentation": RLE | {"counts": 768}}, "whole numbers"),
    ({"segmentation": RLE | {"counts": [1, 2, 3]}}, "cover"),
    ({"segmentation": RLE | {"counts": [-5, 773]}}, "cover"),
    ({"segmentation": RLE | {"counts": ["700", "68"]}}, "whole numbers"),
    ({"segmentation": RLE | {"counts": [700.5, 67.5]}}, "whole numbers"),
    ({"segmentation": RLE | {"counts": [2**40, 768 - 2**40]}}, "cover"),
    ({"segmentation": RLE | {"counts": {"a": 1}}}, "whole numbers"),
    ({"keypoints": [1, 2]}, "unpack"),
    ({"keypoints": 5}, "unusable annotation"),
    ({"keypoints": [1, 2, 9]}, "less than or equal to 2"),
    ({"keypoints": {"crown": [1, 2]}}, "unusable annotation"),
    ({"attributes": {"ellipse": [1, 2]}}, "unusable annotation"),
    ({"attributes": {"ellipse": {"cx": 1}}}, "required"),
    ({"attributes": {"rotated_box": {"cx": 1, "cy": 1, "width": -1, "height": 1}}}, "greater than 0"),
    ({"attributes": {"box_xyxy": None}}, "unusable annotation"),
    ({"attributes": {"box_xyxy": [5, 5, 1, 1]}}, "x_min, y_min, x_max, y_max"),
    ({"attributes": {"origin": "an angel"}}, "an angel"),
    ({"attributes": {"origin": []}}, "unusable annotation"),
]


@pytest.mark.parametrize(("wrong", "says"), BROKEN_ANNOTATIONS, ids=lambda value: str(value)[:60])
def test_a_broken_annotation_is_counted_and_stops_nothing(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    good = an_annotation(id=2, category_id=1)
    content = read(tmp_path, a_document(an_annotation(**wrong), good))
    assert content.oddities.total() >= 1
    assert any(says in oddity for oddity in content.oddities), content.oddities
    (image,) = content.images
    assert "Brain" in [finding.structure for finding in image.findings]


BROKEN_IMAGES: list[tuple[Any, str]] = [
    ({"width": None}, "usable width and height"),
    ({"width": 0}, "usable width and height"),
    ({"height": -24}, "usable width and height"),
    ({"width": 10**12}, "usable width and height"),
    ({"width": 1e300}, "usable width and height"),
    ({"width": "wide"}, "usable width and height"),
    ({"width": [32]}, "usable width and height"),
    ({"file_name": None}, "without a file_name"),
    ({"file_name": ""}, "without a file_name"),
    ({"file_name": 17}, "without a file_name"),
    ({"file_name": ["a.png"]}, "without a file_name"),
]


@pytest.mark.parametrize(("wrong", "says"), BROKEN_IMAGES)
def test_a_broken_image_is_counted_and_the_others_are_read(wrong: Any, says: str, tmp_path: Path) -> None:
    image = {"id": 2, "file_name": "b.png", "width": 32, "height": 24}
    document = a_document(an_annotation())
    document["images"].append(image | wrong)
    content = read(tmp_path, document)
    assert [one.file_name for one in content.images] == ["a.png"]
    assert [count for oddity, count in content.oddities.items() if says in oddity] == [1]


@pytest.mark.parametrize("entry", [None, 1, "a.png", [], [{"id": 1}], True])
def test_entries_that_are_no_objects_are_counted(entry: Any, tmp_path: Path) -> None:
    document = a_document(an_annotation())
    for listed in ("images", "categories", "annotations"):
        document[listed].append(entry)
    content = read(tmp_path, document)
    assert len(content.images[0].findings) == 1
    assert content.oddities.total() == 3


@pytest.mark.parametrize("key", ["categories", "annotations"])
@pytest.mark.parametrize("value", [{"1": {}}, "none", 5, True])
def test_a_dictionary_or_word_in_place_of_a_list_is_counted(key: str, value: Any, tmp_path: Path) -> None:
    content = read(tmp_path, a_document(an_annotation(), **{key: value}))
    assert content.oddities[f"{key} that are not a list"] == 1
    assert content.images[0].findings == ()


@pytest.mark.parametrize("key", ["categories", "annotations"])
def test_a_file_may_lack_annotations_and_categories(key: str, tmp_path: Path) -> None:
    document = a_document()
    del document[key]
    assert len(read(tmp_path, document).images) == 1
    document[key] = None
    assert len(read(tmp_path, document).images) == 1


def test_an_annotation_id_used_twice_is_counted_and_both_are_kept(tmp_path: Path) -> None:
    content = read(tmp_path, a_document(an_annotation(), an_annotation(category_id=1)))
    assert content.oddities == {"annotation id used before": 1}
    assert len(content.images[0].findings) == 2


def test_two_images_of_one_id_are_left_out_for_whose_annotations_are_whose(tmp_path: Path) -> None:
    document = a_document(an_annotation())
    document["images"].append(document["images"][0] | {"file_name": "b.png"})
    document["images"].append({"id": 3, "file_name": "c.png", "width": 32, "height": 24})
    content = read(tmp_path, document)
    assert [image.file_name for image in content.images] == ["c.png"]
    assert content.oddities["image whose id another image has"] == 2
    assert content.oddities["annotation of an image that the file does not hold"] == 1


def test_an_image_listed_twice_is_read_once(tmp_path: Path) -> None:
    document = a_document(an_annotation())
    document["images"] *= 2
    content = read(tmp_path, document)
    assert [len(image.findings) for image in content.images] == [1]
    assert content.oddities == {"image listed twice": 1}


@pytest.mark.parametrize("plane", ["Trans-orbital", 5, ["Other"], {"name": "Other"}, "x" * 10_000])
def test_an_unknown_plane_is_counted_and_the_image_kept(plane: Any, tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24, "plane": plane}
    content = read(tmp_path, a_document(images=[image]))
    assert content.images[0].plane is None
    (oddity,) = content.oddities
    assert oddity.startswith("unknown plane")
    assert len(oddity) < 120


@pytest.mark.parametrize(
    "spacing", ["fine", [0.1], [0.1, -1], [True, True], {"x": 1}, 0.1, [0.1, None], [1e-3, "0.1"]]
)
def test_an_unusable_pixel_spacing_is_counted_and_not_believed(spacing: Any, tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24, "pixel_spacing_mm": spacing}
    content = read(tmp_path, a_document(images=[image]))
    assert content.images[0].facts.pixel_spacing_mm is None
    assert content.oddities == {"unusable pixel spacing": 1}


def test_numbers_written_as_words_are_read_where_their_meaning_is_plain(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.png", "width": "32", "height": 24.0}
    content = read(tmp_path, a_document(an_annotation(bbox=["4", "5", "16", "10"]), images=[image]))
    assert content.images[0].findings[0].box_xyxy == (4, 5, 20, 15)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([RLE, RLE["counts"], [SQUARE], SQUARE, [24, 32], 1, 2, "Brain", "images/a.png"])
    | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6),
                                                                inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = [
    "id", "image_id", "category_id", "bbox", "segmentation", "score", "keypoints", "attributes", "iscrowd", "area",
    "file_name", "width", "height", "plane", "pixel_spacing_mm", "pixel_size_mm", "subject", "name", "images",
    "annotations", "categories", "ellipse", "rotated_box", "box_xyxy", "origin", "size", "counts",
]  # fmt: skip


def containers(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        found += containers(inner)
    return found


WELL_FORMED = a_document(
    an_annotation(
        segmentation=RLE,
        score=0.5,
        keypoints=[1, 2, 2],
        attributes={"ellipse": {"cx": 1, "cy": 2, "rx": 3, "ry": 4}, "box_xyxy": [1, 2, 3, 4], "origin": "manual"},
    ),
    an_annotation(id=2, segmentation=[SQUARE]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=250, deadline=None)
@given(st.data())
def test_a_file_broken_anywhere_is_read_or_refused_but_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    document = copy.deepcopy(WELL_FORMED)
    for _ in range(data.draw(st.integers(1, 3))):
        places = containers(document)
        place = places[data.draw(st.integers(0, len(places) - 1))]
        value = copy.deepcopy(data.draw(json_values))  # drawn values are shared between examples
        if isinstance(place, dict):
            place[data.draw(st.sampled_from(sorted({*KEYS, *place})))] = value
        elif place:
            place[data.draw(st.integers(0, len(place) - 1))] = value
    try:
        content = read(tmp_path, document)
    except CocoError:
        return
    for image in content.images:
        for finding in image.findings:
            if finding.mask_rle is not None:
                assert rle_to_mask(finding.mask_rle).shape == image.size_wh[::-1]

"""What a reader did to a prediction: kept, changed, deleted, added; and what of an annotation cannot be used."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import LabelStudioError
from annotator.geometry import dice, ellipse_to_box_xyxy, ellipse_to_mask, mask_to_rle, rle_to_mask
from annotator.labelstudio.brush import encode_mask
from annotator.labelstudio.diff import correction_from_annotation, result_to_findings
from annotator.labelstudio.regions import finding_to_regions, prediction_to_result
from annotator.schema import (
    Change,
    Correction,
    Ellipse,
    Finding,
    Interpretation,
    Keypoint,
    Origin,
    ParseIssue,
    Prediction,
)
from tests.builders import a_finding, a_frame, a_mask, a_masked_finding, a_prediction

FRAME = a_frame(size_wh=(200, 100))
HEAD_ELLIPSE = Ellipse(cx=100, cy=50, rx=60, ry=40, angle_deg=10)
HEAD_MASK = ellipse_to_mask(HEAD_ELLIPSE, FRAME.size_wh)
HEAD_MASK[50, 100] = False  # what the network said is not quite the ellipse that was fitted to it
HEAD = a_masked_finding(HEAD_MASK, ellipse=HEAD_ELLIPSE, score=0.9)
CSP = a_finding("CSP", (20.0, 10.0, 40.0, 30.0), score=0.5)
CRL = a_finding(
    "CRL_KP",
    (10.0, 20.0, 150.0, 80.0),
    keypoints=(Keypoint(name="crown", x=10, y=20), Keypoint(name="rump", x=150, y=80, visibility=1)),
    score=0.6,
)
PREDICTION = a_prediction(FRAME, findings=(HEAD, CSP, CRL), plane="Trans-thalamic", plane_score=0.8)


def an_annotation(result: Any, **more: Any) -> dict[str, Any]:
    usual = {"id": 15, "task": 4, "was_cancelled": False, "lead_time": 4.5, "updated_at": "2026-01-02T03:04:05Z"}
    return {**usual, "result": result, **more}


def read(result: Any, parent: Prediction | None = PREDICTION, **more: Any) -> tuple[Correction, list[ParseIssue]]:
    correction, issues = correction_from_annotation(an_annotation(result, **more), FRAME, parent, "anna")
    assert correction.issues == tuple(issues)  # what could not be used is kept with the correction
    return correction, issues


def sent() -> list[dict[str, Any]]:
    """The prediction's regions as a browser returns them when nothing was touched."""
    return [{**region, "origin": "prediction"} for region in prediction_to_result(PREDICTION, FRAME)]


def a_region(kind: str, value: dict[str, Any], label: str, **more: Any) -> dict[str, Any]:
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    labels = {} if label == "" else {kind: [label]}
    named = {"id": "Xy12345678", "from_name": "box", "to_name": "image", "type": kind, "origin": "manual"}
    return {**named, **size, "value": {**value, **labels}, **more}


def a_box_region(label: str = "LV", **more: Any) -> dict[str, Any]:
    return a_region("rectanglelabels", {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}, label, **more)


def a_polygon_region(points: Any, label: str = "Brain") -> dict[str, Any]:
    return a_region("polygonlabels", {"points": points, "closed": True}, label)


def a_point_region(x: float, y: float, label: str = "CRL_KP", region_id: str = "p1") -> dict[str, Any]:
    return a_region("keypointlabels", {"x": x, "y": y, "width": 0.5}, label, id=region_id)


def moved(region: dict[str, Any], by: float = 5.0) -> dict[str, Any]:
    value = {**region["value"], "x": region["value"]["x"] + by}
    return {**region, "value": value, "origin": "prediction-changed"}


def by_structure(correction: Correction) -> dict[str, Finding]:
    return {finding.structure: finding for finding in correction.findings}


def changes_of(correction: Correction) -> dict[str, str]:
    names = {finding.finding_id: finding.structure for finding in (*PREDICTION.findings, *correction.findings)}
    return {names[key]: str(change) for key, change in correction.changes.items()}


def test_an_untouched_prediction_is_kept_exactly_mask_and_score_included() -> None:
    correction, issues = read(sent())
    assert issues == []
    assert set(correction.changes.values()) == {Change.KEPT}
    assert correction.plane == "Trans-thalamic"
    assert by_structure(correction)["Brain"] == HEAD.model_copy(update={"parent_finding_id": HEAD.finding_id})
    assert correction.prediction_id == PREDICTION.prediction_id


def test_a_correction_says_who_when_how_long_and_where_it_comes_from() -> None:
    correction, _ = read(sent())
    assert (correction.reader, correction.lead_time_s, correction.skipped) == ("anna", 4.5, False)
    assert (correction.external_id, correction.external_updated_at) == ("15", "2026-01-02T03:04:05Z")
    assert correction.frame_id == FRAME.frame_id


def test_a_deleted_region_is_noticed_though_it_leaves_no_trace() -> None:
    correction, issues = read([region for region in sent() if region["value"].get("rectanglelabels") != ["CSP"]])
    assert changes_of(correction) == {"Brain": "kept", "CSP": "deleted", "CRL_KP": "kept"}
    assert correction.deleted_finding_ids == (CSP.finding_id,)
    assert "CSP" not in by_structure(correction)
    assert issues == []


def test_a_dragged_box_is_changed_keeps_its_id_and_loses_the_score_of_what_it_was() -> None:
    regions = [moved(region) if region["type"] == "rectanglelabels" else region for region in sent()]
    correction, _ = read(regions)
    box = by_structure(correction)["CSP"]
    assert changes_of(correction)["CSP"] == "changed"
    assert box.box_xyxy == (30.0, 10.0, 50.0, 30.0)
    assert (box.finding_id, box.parent_finding_id) == (CSP.finding_id, CSP.finding_id)
    assert (box.score, box.origin) == (None, Origin.PREDICTION_CHANGED)


def test_a_dragged_ellipse_gets_the_mask_of_what_was_drawn() -> None:
    regions = [moved(region) if region["type"] == "ellipselabels" else region for region in sent()]
    head = by_structure(read(regions)[0])["Brain"]
    assert head.ellipse is not None
    assert head.ellipse.cx == 110.0
    assert head.mask_rle == mask_to_rle(ellipse_to_mask(head.ellipse, FRAME.size_wh))


def test_a_relabelled_region_is_changed() -> None:
    regions = sent()
    box = next(region for region in regions if region["type"] == "rectanglelabels")
    box["value"]["rectanglelabels"] = ["LV"]
    correction, _ = read(regions)
    assert correction.changes[CSP.finding_id] == Change.CHANGED
    assert {finding.structure for finding in correction.findings} == {"Brain", "LV", "CRL_KP"}


def test_geometry_decides_where_label_studio_does_not_say_who_made_a_region() -> None:
    """As after 'Create annotations from predictions'."""
    regions = [{key: value for key, value in region.items() if key != "origin"} for region in sent()]
    correction, _ = read(regions, lead_time=None)
    assert set(correction.changes.values()) == {Change.KEPT}
    assert {finding.origin for finding in correction.findings} == {Origin.PREDICTION}
    assert correction.lead_time_s is None


def test_what_rounding_in_the_browser_does_is_no_change() -> None:
    regions = [moved(region, 1e-7) if "x" in region["value"] else region for region in sent()]
    assert set(read(regions)[0].changes.values()) == {Change.KEPT}


def test_a_region_drawn_by_the_reader_is_added() -> None:
    correction, issues = read([*sent(), a_box_region()])
    box = by_structure(correction)["LV"]
    assert correction.changes[box.finding_id] == Change.ADDED
    assert (box.box_xyxy, box.score, box.origin) == ((20.0, 20.0, 80.0, 60.0), None, Origin.MANUAL)
    assert box.parent_finding_id is None
    assert issues == []


def test_reading_an_annotation_twice_gives_the_same_ids() -> None:
    first, second = (read([*sent(), a_box_region()])[0] for _ in range(2))
    assert first.findings == second.findings


def test_an_accepted_suggestion_keeps_the_id_and_score_that_the_backend_gave_it() -> None:
    suggestion = finding_to_regions(a_finding("LV", score=0.75, finding_id="fnd_asked"), FRAME)[0]
    correction, _ = read([*sent(), {**suggestion, "origin": "manual"}])
    found = by_structure(correction)["LV"]
    assert (found.finding_id, found.score, found.origin) == ("fnd_asked", 0.75, Origin.MANUAL)
    assert correction.changes["fnd_asked"] == Change.ADDED


def test_a_skipped_frame_says_nothing_of_its_regions() -> None:
    correction, issues = read([], was_cancelled=True)
    assert correction.skipped
    assert (correction.findings, correction.changes, correction.deleted_finding_ids) == ((), {}, ())
    assert issues == []


def test_an_empty_annotation_deletes_all() -> None:
    correction, _ = read([])
    assert set(correction.changes.values()) == {Change.DELETED}
    assert correction.plane is None


def test_without_a_prediction_everything_is_added() -> None:
    correction, _ = read(sent(), None)
    assert set(correction.changes.values()) == {Change.ADDED}
    assert correction.prediction_id is None
    assert {finding.origin for finding in correction.findings} == {Origin.PREDICTION}


def test_the_plane_can_be_changed() -> None:
    regions = [*sent()[:-1], {**sent()[-1], "value": {"choices": ["Trans-cerebellum"]}}]
    assert read(regions)[0].plane == "Trans-cerebellum"


def a_text(name: str, *lines: str) -> dict[str, Any]:
    place = {"id": f"t-{name}", "from_name": name, "to_name": "image", "type": "textarea"}
    return {**place, "value": {"text": [*lines]}}


SAID = PREDICTION.model_copy(
    update={"interpretation": Interpretation(imaging_plane="transthalamic", image_quality="good")}
)


def test_an_interpretation_comes_back_as_it_was_sent() -> None:
    correction, issues = read(prediction_to_result(SAID, FRAME), SAID)
    assert correction.interpretation == SAID.interpretation
    assert not issues


def test_a_text_that_the_reader_rewrote_counts_and_one_that_was_deleted_is_empty() -> None:
    rest = [region for region in prediction_to_result(SAID, FRAME) if region["type"] != "textarea"]
    correction, _ = read([*rest, a_text("imaging_plane", "transventricular", "tilted")], SAID)
    assert correction.interpretation == Interpretation(imaging_plane="transventricular\ntilted")
    emptied, _ = read(rest, SAID)
    assert emptied.interpretation == Interpretation()


def test_where_nothing_was_written_there_is_no_interpretation() -> None:
    correction, _ = read(sent())
    assert correction.interpretation is None


def test_measurements_are_shown_and_not_taken_for_the_readers_words() -> None:
    spaced = FRAME.model_copy(update={"pixel_spacing_mm": (0.2, 0.2)})
    shown = [region for region in prediction_to_result(PREDICTION, spaced) if region["from_name"] == "measurements"]
    assert "HC" in shown[0]["value"]["text"][0]
    correction, issues = correction_from_annotation(an_annotation(shown), spaced, None, "anna")
    assert correction.interpretation is None
    assert not issues


@pytest.mark.parametrize("lines", [None, 7, [7], {"a": 1}])
def test_a_text_that_is_none_is_told(lines: Any) -> None:
    region = {**a_text("imaging_plane"), "value": {"text": lines}}
    correction, (issue,) = read([region])
    assert "must be text" in issue.reason
    assert correction.interpretation is None


def test_a_point_that_was_set_anew_belongs_to_the_same_finding() -> None:
    regions = [region for region in sent() if not region["id"].endswith(".kp.crown.2")]
    correction, _ = read([*regions, a_point_region(50, 50)])
    points = by_structure(correction)["CRL_KP"]
    assert changes_of(correction)["CRL_KP"] == "changed"
    assert [(point.name, point.x, point.y, point.visibility) for point in points.keypoints] == [
        ("crown", 100.0, 50.0, 2),
        ("rump", 150.0, 80.0, 1),
    ]


def test_a_point_deleted_for_good_changes_the_finding_and_both_delete_it() -> None:
    one_left = [region for region in sent() if not region["id"].endswith(".kp.crown.2")]
    correction, _ = read(one_left)
    assert [point.name for point in by_structure(correction)["CRL_KP"].keypoints] == ["rump"]
    none_left = [region for region in sent() if region["type"] != "keypointlabels"]
    assert changes_of(read(none_left)[0])["CRL_KP"] == "deleted"


def test_new_points_make_up_findings_in_the_order_they_were_set() -> None:
    points = [a_point_region(10 * n, 50, region_id=f"p{n}") for n in range(1, 4)]
    correction, _ = read(points, None)
    named = [[(point.name, point.x) for point in finding.keypoints] for finding in correction.findings]
    assert named == [[("crown", 20.0), ("rump", 40.0)], [("crown", 60.0)]]


def test_several_brush_regions_are_several_findings() -> None:
    first, second = a_mask(FRAME.size_wh, (0, 0, 10, 10)), a_mask(FRAME.size_wh, (50, 50, 70, 60))
    regions = [
        a_region("brushlabels", {"format": "rle", "rle": encode_mask(mask)}, "liver", id=f"b{number}")
        for number, mask in enumerate((first, second))
    ]
    correction, issues = read(regions, None)
    assert [finding.mask_rle for finding in correction.findings] == [mask_to_rle(first), mask_to_rle(second)]
    assert correction.findings[1].box_xyxy == (50.0, 50.0, 70.0, 60.0)
    assert issues == []


def test_a_polygon_becomes_the_mask_it_encloses() -> None:
    (finding,) = read([a_polygon_region([[10, 10], [60, 10], [60, 60], [10, 60]])], None)[0].findings
    assert finding.mask_rle is not None
    assert (rle_to_mask(finding.mask_rle) == a_mask(FRAME.size_wh, (20, 10, 120, 60))).all()


def test_a_polygon_that_crosses_itself_keeps_both_its_lobes() -> None:
    bow_tie = [[10, 10], [60, 60], [60, 10], [10, 60]]
    (finding,) = read([a_polygon_region(bow_tie)], None)[0].findings
    assert finding.mask_rle is not None
    mask = rle_to_mask(finding.mask_rle)
    rows, columns = np.mgrid[:100, :200] + 0.5
    u, v = (columns - 20) / 100, (rows - 10) / 50
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1) & (((v < u) & (v > 1 - u)) | ((v > u) & (v < 1 - u)))
    assert dice(mask, inside) > 0.97


def test_a_region_larger_than_the_image_is_cut_to_it() -> None:
    outside = a_region("rectanglelabels", {"x": -10, "y": 50, "width": 40, "height": 80}, "LV")
    assert read([outside], None)[0].findings[0].box_xyxy == (0.0, 50.0, 60.0, 100.0)


def test_a_damaged_region_is_not_taken_for_a_deleted_one() -> None:
    regions = sent()
    regions[1] = {**regions[1], "value": None}
    correction, issues = read(regions)
    assert CSP.finding_id not in correction.changes
    assert [issue.reason for issue in issues] == ["the region has no value"]


JUNK: list[tuple[Any, str]] = [
    (None, "must be an object"),
    (7, "must be an object"),
    ([], "must be an object"),
    ({}, "is not one of ours"),
    (a_region("videorectangle", {}, "LV"), "is not one of ours"),
    ({"type": "relation", "from_id": "a", "to_id": "b"}, "is not one of ours"),
    (a_region("rectangle", {"x": 1, "y": 1, "width": 5, "height": 5}, ""), "is not one of ours"),
    (a_box_region("Tumour"), "unknown label 'Tumour'"),
    (a_box_region(""), "no label"),
    (a_region("rectanglelabels", {"rectanglelabels": ["CSP", "LV"]}, ""), "2 labels"),
    (a_region("rectanglelabels", {"rectanglelabels": [3]}, ""), "unknown label 3"),
    (a_region("rectanglelabels", {"x": 1, "y": 1, "width": 0, "height": 5}, "LV"), "covers nothing"),
    (a_region("rectanglelabels", {"x": 120, "y": 1, "width": 5, "height": 5}, "LV"), "covers nothing"),
    (a_region("rectanglelabels", {"x": "1", "y": 1, "width": 5, "height": 5}, "LV"), "x must be a number"),
    (a_region("rectanglelabels", {"x": True, "y": 1, "width": 5, "height": 5}, "LV"), "x must be a number"),
    (a_region("rectanglelabels", {"y": 1, "width": 5, "height": 5}, "LV"), "x must be a number"),
    (a_region("rectanglelabels", {"x": float("nan"), "y": 1, "width": 5, "height": 5}, "LV"), "x must be a number"),
    (a_region("rectanglelabels", {"x": 1, "y": 1, "width": 1e300, "height": 5}, "LV"), "far outside"),
    (a_region("rectanglelabels", {"x": 1, "y": 1, "width": -5, "height": 5, "rotation": 9}, "LV"), "no area"),
    (a_region("ellipselabels", {"x": 1, "y": 1, "radiusX": 0, "radiusY": 5}, "Brain"), "no area"),
    (a_region("ellipselabels", {"x": -90, "y": 1, "radiusX": 1, "radiusY": 1}, "Brain"), "covers nothing"),
    (a_region("brushlabels", {"format": "rle", "rle": [1, 2, 3]}, "liver"), "brush stream"),
    (a_region("brushlabels", {"format": "rle", "rle": encode_mask(np.ones((9, 9)))}, "liver"), "does not fit"),
    (a_region("brushlabels", {"format": "rle", "rle": encode_mask(np.zeros((100, 200)))}, "liver"), "is painted"),
    (a_region("brushlabels", {"format": "png", "rle": []}, "liver"), "no run-length code"),
    (a_region("brushlabels", {"format": "rle"}, "liver"), "no run-length code"),
    (a_polygon_region([[1, 1], [2, 2]]), "three points"),
    (a_polygon_region(None), "three points"),
    (a_polygon_region([[1, 1], [2], [3, 3]]), "two numbers"),
    (a_polygon_region([[1, 1], [1, 1], [1, 1]]), "covers no pixel"),
    (a_polygon_region([[1, 1], [2, 2], [3, 3]]), "covers no pixel"),
    (a_polygon_region([["a", 1], [2, 2], [3, 3]]), "must be a number"),
    (a_box_region(original_width=100), "another image"),
    (a_box_region(image_rotation=90), "turned in the editor"),
    (a_box_region(from_name="prompt_box"), "smart tool"),
    ({**a_box_region(), "value": [1, 2]}, "no value"),
    ({"type": "choices", "from_name": "plane", "value": {"choices": ["Sagittal-ish"]}}, "unknown plane"),
    ({"type": "choices", "from_name": "plane", "value": {"choices": []}}, "one choice"),
    ({"type": "choices", "from_name": "plane", "value": None}, "one choice"),
    ({"type": "choices", "from_name": "quality", "value": {"choices": ["good"]}}, "not ours"),
]


@pytest.mark.parametrize(("region", "reason"), JUNK)
def test_junk_is_told_and_the_rest_is_read(region: Any, reason: str) -> None:
    correction, issues = read([region, *sent()])
    assert len(issues) == 1
    assert reason in issues[0].reason
    assert issues[0].phase == "labelstudio"
    assert set(correction.changes.values()) == {Change.KEPT}


def test_two_regions_of_one_id_count_once_and_are_told() -> None:
    correction, issues = read([*sent(), {**a_box_region(), "id": sent()[0]["id"]}])
    assert [issue.reason for issue in issues] == ["two regions have the same id"]
    assert len(correction.findings) == 3


def test_regions_without_ids_are_all_read() -> None:
    nameless = [{**a_box_region(label), "id": None} for label in ("LV", "CSP")]
    correction, issues = read(nameless, None)
    assert [finding.structure for finding in correction.findings] == ["LV", "CSP"]
    assert issues == []


def test_a_loose_point_that_claims_a_taken_id_becomes_a_finding_of_its_own() -> None:
    stranger = a_point_region(5, 5, "NTKpoints", f"fada-{CRL.finding_id}.kp.third.2")
    correction, _ = read([*sent(), stranger])
    assert len({finding.finding_id for finding in correction.findings}) == 4


def test_a_second_plane_is_told() -> None:
    _, issues = read([*sent(), {**sent()[-1], "id": "c2", "value": {"choices": ["Femur"]}}])
    assert [issue.reason for issue in issues] == ["a second plane, after 'Trans-thalamic'"]


@pytest.mark.parametrize("result", [None, {}, "regions", 3])
def test_a_result_that_is_no_list_is_told(result: Any) -> None:
    assert result_to_findings(result, FRAME, None)[2][0].reason == "the result is not a list of regions"


@pytest.mark.parametrize("annotation", [None, [], {}, {"id": "15"}, {"result": []}])
def test_what_is_no_annotation_is_refused(annotation: Any) -> None:
    with pytest.raises(LabelStudioError, match="not an annotation"):
        correction_from_annotation(annotation, FRAME, None, "anna")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("id", "type", "value", "origin", "score", "original_width", "image_rotation", "from_name")


@given(st.sampled_from(range(len(sent()))), st.sampled_from(FIELDS), JSON)
def test_no_value_of_any_field_raises(position: int, name: str, value: Any) -> None:
    regions = sent()
    regions[position] = {**regions[position], name: value}
    read(regions)


@given(st.sampled_from(range(len(sent()))), JSON, st.data())
def test_no_value_within_a_shape_raises(position: int, value: Any, data: st.DataObject) -> None:
    regions = sent()
    key = data.draw(st.sampled_from(sorted(regions[position]["value"])))
    regions[position] = {**regions[position], "value": {**regions[position]["value"], key: value}}
    read(regions)


def test_the_ellipse_of_the_head_is_not_its_mask_so_keeping_matters() -> None:
    assert HEAD.mask_rle != mask_to_rle(ellipse_to_mask(HEAD_ELLIPSE, FRAME.size_wh))
    assert ellipse_to_box_xyxy(HEAD_ELLIPSE)[0] < HEAD.box_xyxy[2]

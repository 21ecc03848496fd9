"""Predictions as Label Studio result regions: percent of the image, one shape a finding, ids that we recognise.

A finding is shown by what a sonographer would move: its ellipse, else its mask, else its points, else its box, as
far as its structure is annotated that way.
What the region cannot carry (a mask behind an ellipse) is kept by us and comes back when the region is left as it
was. Every region's id begins with PREFIX, so that kept regions and accepted suggestions are known on return.
"""

import math
from collections.abc import Iterator
from typing import Any

from annotator import taxonomy
from annotator.biometry import report, report_lines
from annotator.geometry import ellipse_to_mask, rle_area, rle_to_mask
from annotator.labelstudio.brush import encode_mask
from annotator.schema import BoxXyxy, Ellipse, Finding, Frame, Keypoint, Prediction, RotatedBox
from annotator.taxonomy import Kind

PREFIX = "fada-"
IMAGE, PLANE, MEASUREMENTS = "image", "plane", "measurements"
BOX, ELLIPSE, MASK, POLYGON, KEYPOINT = "box", "ellipse", "mask", "polygon", "keypoint"
TYPES = {
    BOX: "rectanglelabels",
    ELLIPSE: "ellipselabels",
    MASK: "brushlabels",
    POLYGON: "polygonlabels",
    KEYPOINT: "keypointlabels",
}
KEYPOINT_WIDTH_PCT = 0.6
LARGEST_RADIUS_PCT = 50.0  # Label Studio's own check refuses larger ones

Region = dict[str, Any]


def prediction_to_result(prediction: Prediction, frame: Frame) -> list[Region]:
    """Return the result regions of a prediction: findings, plane, interpretation, and what they measure."""
    regions = [region for finding in prediction.findings for region in finding_to_regions(finding, frame)]
    if prediction.plane is not None:
        regions.append(_plane_region(prediction))
    texts = prediction.interpretation.model_dump() if prediction.interpretation else {}
    if frame.pixel_spacing_mm is not None and prediction.findings:
        texts[MEASUREMENTS] = "\n".join(report_lines(report(frame, prediction)))
    return regions + [_text_region(prediction, name, text) for name, text in texts.items() if text.strip()]


def finding_to_regions(finding: Finding, frame: Frame) -> list[Region]:
    """Return the regions of one finding: one, or one for each of its points that is not absent."""
    kinds = taxonomy.structure(finding.structure).kinds
    present = [point for point in finding.keypoints if point.visibility > 0]
    if Kind.MASK in kinds and finding.ellipse is not None:
        return [_ellipse_region(finding, finding.ellipse, frame)]
    if Kind.MASK in kinds and finding.mask_rle is not None and rle_area(finding.mask_rle) > 0:
        return [_mask_region(finding, rle_to_mask(finding.mask_rle), frame)]
    if Kind.KEYPOINTS in kinds and present:
        return [_keypoint_region(finding, point, frame) for point in present]
    if finding.rotated_box is not None:
        return [_rotated_box_region(finding, finding.rotated_box, frame)]
    return [_box_region(finding, finding.box_xyxy, frame)]


def region_id(finding: Finding, point: Keypoint | None = None) -> str:
    """Return the id of a finding's region; that of a point also says its name and visibility."""
    plain = f"{PREFIX}{finding.finding_id}"
    return plain if point is None else f"{plain}.kp.{point.name}.{point.visibility}"


def to_percent(value: float, size: int) -> float:
    """Turn a pixel coordinate into percent of the image, held within 0..100."""
    return min(max(100.0 * value / size, 0.0), 100.0)


def to_pixels(percent: float, size: int) -> float:
    """Turn percent of the image into pixels, rounded to a millionth so that what we sent comes back exactly."""
    return round(percent * size / 100.0, 6)


def _shape(
    finding: Finding, frame: Frame, name: str, value: dict[str, Any], point: Keypoint | None = None
) -> Region:
    kind = TYPES[name]
    region = {
        "id": region_id(finding, point),
        "from_name": name,
        "to_name": IMAGE,
        "type": kind,
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "value": {**value, kind: [finding.structure]},
    }
    return region if finding.score is None else {**region, "score": finding.score}


def _box_region(finding: Finding, box: BoxXyxy, frame: Frame) -> Region:
    x_min, x_max = (to_percent(value, frame.width) for value in (box[0], box[2]))
    y_min, y_max = (to_percent(value, frame.height) for value in (box[1], box[3]))
    value = {"x": x_min, "y": y_min, "width": x_max - x_min, "height": y_max - y_min, "rotation": 0}
    return _shape(finding, frame, BOX, value)


def _rotated_box_region(finding: Finding, box: RotatedBox, frame: Frame) -> Region:
    """Label Studio turns a rectangle clockwise about its top-left corner, in pixels."""
    angle = math.radians(box.angle_deg)
    half_x, half_y = box.width / 2, box.height / 2
    left = box.cx - half_x * math.cos(angle) + half_y * math.sin(angle)
    top = box.cy - half_x * math.sin(angle) - half_y * math.cos(angle)
    value = {
        "x": to_percent(left, frame.width),
        "y": to_percent(top, frame.height),
        "width": to_percent(box.width, frame.width),
        "height": to_percent(box.height, frame.height),
        "rotation": box.angle_deg % 360.0,
    }
    return _shape(finding, frame, BOX, value)


def _ellipse_region(finding: Finding, ellipse: Ellipse, frame: Frame) -> Region:
    """An ellipse that Label Studio would refuse (too large, centre outside) is painted instead."""
    fitting = next((form for form in _forms(ellipse) if _fits(form, frame)), None)
    if fitting is None:
        mask = rle_to_mask(finding.mask_rle) if finding.mask_rle else ellipse_to_mask(ellipse, frame.size_wh)
        return _mask_region(finding, mask, frame) if mask.any() else _box_region(finding, finding.box_xyxy, frame)
    value = {
        "x": to_percent(fitting.cx, frame.width),
        "y": to_percent(fitting.cy, frame.height),
        "radiusX": to_percent(fitting.rx, frame.width),
        "radiusY": to_percent(fitting.ry, frame.height),
        "rotation": fitting.angle_deg % 360.0,
    }
    return _shape(finding, frame, ELLIPSE, value)


def _forms(ellipse: Ellipse) -> Iterator[Ellipse]:
    """The same ellipse as it is, and with its axes named the other way round."""
    yield ellipse
    turned = {"rx": ellipse.ry, "ry": ellipse.rx, "angle_deg": ellipse.angle_deg + 90.0}
    yield ellipse.model_copy(update=turned)


def _fits(ellipse: Ellipse, frame: Frame) -> bool:
    inside = 0 <= ellipse.cx <= frame.width and 0 <= ellipse.cy <= frame.height
    largest = max(ellipse.rx / frame.width, ellipse.ry / frame.height) * 100.0
    return inside and largest <= LARGEST_RADIUS_PCT


def _mask_region(finding: Finding, mask: Any, frame: Frame) -> Region:
    return _shape(finding, frame, MASK, {"format": "rle", "rle": encode_mask(mask)})


def _keypoint_region(finding: Finding, point: Keypoint, frame: Frame) -> Region:
    position = {"x": to_percent(point.x, frame.width), "y": to_percent(point.y, frame.height)}
    return _shape(finding, frame, KEYPOINT, {**position, "width": KEYPOINT_WIDTH_PCT}, point)


def _plane_region(prediction: Prediction) -> Region:
    region: Region = {
        "id": f"{PREFIX}{PLANE}-{prediction.prediction_id}",
        "from_name": PLANE,
        "to_name": IMAGE,
        "type": "choices",
        "value": {"choices": [prediction.plane]},
    }
    return region if prediction.plane_score is None else {**region, "score": prediction.plane_score}


def _text_region(prediction: Prediction, name: str, text: str) -> Region:
    return {
        "id": f"{PREFIX}{name}-{prediction.prediction_id}",
        "from_name": name,
        "to_name": IMAGE,
        "type": "textarea",
        "value": {"text": [text]},
    }

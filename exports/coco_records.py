"""What one frame and one finding look like in COCO, and how COCO's place for more holds all the rest of a record.

A standard reader sees `bbox`, `area`, `segmentation`, `iscrowd` 0, `keypoints` and `score`. Under `attributes`, an
annotation holds whatever else its Finding says; an image holds what is known of its frame and, as `correction` or
`prediction`, the whole record but for its findings. `coco_reading` puts the record together again.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import orjson
from pycocotools import mask as coco_mask

from annotator import taxonomy
from annotator.biometry import measure
from annotator.geometry import mask_to_edge_rings, rle_to_mask
from annotator.schema import Change, Correction, Finding, MaskRle, Prediction
from exports.entries import Entry, Said

# A record's own name for itself, under which an image keeps it.
KINDS: Mapping[str, type[Correction] | type[Prediction]] = {"correction": Correction, "prediction": Prediction}
_SAID_ELSEWHERE = {"findings", "frame_id", "plane", "plane_score"}
_COCO_IDS = {item.name: item.coco_id for item in taxonomy.STRUCTURES}


class MaskForm(StrEnum):
    """How masks are written; both say every pixel. Polygons are what most readers take, RLE is small and fast."""

    POLYGONS = "polygons"
    RLE = "rle"


# A finding on its way into a file: annotation id, image id, the finding, what all findings of its frame share, what
# became of it. A plain tuple, since one is made for each of maybe a million findings.
Place = tuple[int, int, Finding, Mapping[str, Any], Change | None]


def categories() -> list[dict[str, Any]]:
    """Return every structure of the taxonomy as a COCO category."""
    return [_category(item) for item in taxonomy.STRUCTURES]


def _category(item: taxonomy.Structure) -> dict[str, Any]:
    category: dict[str, Any] = {
        "id": item.coco_id,
        "name": item.name,
        "supercategory": item.group.value,
        "long_name": item.long_name,
    }
    if item.name in taxonomy.KEYPOINT_NAMES:
        category |= {"keypoints": list(taxonomy.KEYPOINT_NAMES[item.name]), "skeleton": [[1, 2]]}
    return category


def image_record(image_id: int, entry: Entry) -> dict[str, Any]:
    """Return a frame as a COCO image, fit for orjson."""
    frame, said = entry.frame, entry.said
    kind = "prediction" if isinstance(said, Prediction) else "correction"
    attributes: dict[str, Any] = {
        "frame_id": frame.frame_id,
        "source_file": frame.source_file,
        "source": frame.source,
        "subject": frame.subject,
        "group": frame.group,
        "split": frame.split,
        "site": frame.site,
        "scanner": frame.scanner,
        "plane": said.plane,
        "plane_score": said.plane_score if isinstance(said, Prediction) else None,
        "pixel_spacing_mm": frame.pixel_spacing_mm,
        "simulated": frame.simulated,
        kind: orjson.Fragment(said.model_dump_json(exclude=_SAID_ELSEWHERE)),
    }
    if frame.pixel_spacing_mm is not None and said.findings:
        sizes = measure(said.findings, frame.pixel_spacing_mm, plane=said.plane).measurements
        attributes["measurements"] = {one.name.value: {"value": one.value, "unit": one.unit} for one in sizes}
    others = [name for name in entry.names if name != frame.source_file]
    if others:
        attributes["other_source_files"] = others
    return {
        "id": image_id,
        "file_name": f"images/{frame.frame_id}.png",
        "width": frame.width,
        "height": frame.height,
        "attributes": attributes,
    }


def shared_attributes(said: Said) -> dict[str, Any]:
    """Return what every annotation of a frame repeats, so that each can be understood by itself."""
    if isinstance(said, Prediction):
        return {"model_version": said.model_version, "prediction_id": said.prediction_id}
    return {"reader": said.reader, "correction_id": said.correction_id, "parent": said.prediction_id}


def annotation_records(places: Sequence[Place], form: MaskForm = MaskForm.POLYGONS) -> list[dict[str, Any]]:
    """Return findings as COCO annotations; `bbox` is [x, y, width, height] in pixels, `area` exact.

    At most 255 at a time: pycocotools keeps the number of masks whose area it counts in one byte.
    """
    masks = [{"size": one.size_hw, "counts": one.counts} for place in places if (one := place[2].mask_rle)]
    areas = iter(coco_mask.area(masks).tolist() if masks else ())
    boxes = iter(coco_mask.toBbox(masks).tolist() if masks else ())
    rles = iter(masks)
    records = []
    for annotation_id, image_id, finding, shared, change in places:
        mask = finding.mask_rle
        segmentation: Any = []
        if mask is not None:
            bbox, area, rle = next(boxes), next(areas), next(rles)
            segmentation = (form is MaskForm.POLYGONS and _as_polygons(mask)) or rle
        else:
            x_min, y_min, x_max, y_max = finding.box_xyxy
            bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
            area = bbox[2] * bbox[3]
        record: dict[str, Any] = {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": _COCO_IDS[finding.structure],
            "bbox": bbox,
            "area": area,
            "segmentation": segmentation,
            "iscrowd": 0,
            "attributes": {**shared, "finding_id": finding.finding_id, "origin": finding.origin},
        }
        _add_what_is_rare(record, finding, change)
        records.append(record)
    return records


def annotation_record(annotation_id: int, image_id: int, finding: Finding, said: Said) -> dict[str, Any]:
    """Return one finding as a COCO annotation."""
    change = said.changes.get(finding.finding_id) if isinstance(said, Correction) else None
    (record,) = annotation_records([(annotation_id, image_id, finding, shared_attributes(said), change)])
    return record


def _add_what_is_rare(record: dict[str, Any], finding: Finding, change: Change | None) -> None:
    """What only some findings have; a box is written out where x + width rounds, or where the mask has another."""
    attributes, (x, y, width, height) = record["attributes"], record["bbox"]
    if (x, y, x + width, y + height) != finding.box_xyxy:
        attributes["box_xyxy"] = finding.box_xyxy
    if finding.score is not None:
        record["score"] = finding.score
    if change is not None:
        attributes["change"] = change
    if finding.removed_mass is not None:
        attributes["removed_mass"] = finding.removed_mass
    if finding.parent_finding_id is not None:
        attributes["parent_finding_id"] = finding.parent_finding_id
    if finding.ellipse is not None:
        attributes["ellipse"] = finding.ellipse.model_dump()
    if finding.rotated_box is not None:
        attributes["rotated_box"] = finding.rotated_box.model_dump()
    if finding.keypoints:
        points = finding.keypoints
        record["keypoints"] = [value for point in points for value in (point.x, point.y, point.visibility)]
        record["num_keypoints"] = sum(point.visibility > 0 for point in points)
        names = tuple(point.name for point in points)
        if names != taxonomy.KEYPOINT_NAMES.get(finding.structure):
            attributes["keypoint_names"] = names


def _as_polygons(rle: MaskRle) -> list[list[float]]:
    """Lossless polygons along the pixel edges, or none where they cannot say it: a mask with holes, or empty."""
    rings, has_hole = mask_to_edge_rings(rle_to_mask(rle))
    return [] if has_hole else [ring.ravel().tolist() for ring in rings]

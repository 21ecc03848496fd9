"""Records -> a COCO data set that pycocotools reads back as exactly what the sonographer left.

Ids start at 1 (pycocotools takes id 0 for "no match"), `iscrowd` is always 0, masks are lossless: polygons along
the pixel edges where that says everything, RLE where a mask has holes. The same store gives the same bytes.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

import annotator
from annotator import taxonomy
from annotator.errors import CocoError
from annotator.files import atomic_writer
from annotator.geometry import (
    mask_to_edge_rings,
    polygons_to_mask,
    rle_area,
    rle_as_coco,
    rle_to_box_xyxy,
    rle_to_mask,
)
from annotator.schema import Correction, Finding, Frame, MaskRle, Prediction

CHUNK = 2000
NOT_FOR_CLINICAL_USE = "Research software, not for clinical use."


@dataclass(frozen=True)
class CocoEntry:
    """One frame with what was said of it, and every name that its content came under."""

    frame: Frame
    said: Prediction | Correction
    names: Sequence[str] = ()


@dataclass(frozen=True)
class CocoSummary:
    """What an export wrote."""

    path: Path
    images: int
    annotations: int


def export_coco(
    out: Path, entries: Iterable[CocoEntry], image_paths: Mapping[str, Path], *, which: str
) -> CocoSummary:
    """Write `out/images/` and then `out/annotations.json`, the latter whole or not at all.

    `image_paths` maps frame_id to the stored PNG. Raises CocoError where `out` cannot be written.
    """
    try:
        listed = list(entries)
        _copy_images(out / "images", [image_paths[entry.frame.frame_id] for entry in listed])
        with atomic_writer(out / "annotations.json") as stream:
            count = _write_document(stream, listed, which)
        _drop_stale_images(out / "images", {entry.frame.frame_id for entry in listed})
    except OSError as error:
        raise CocoError(f"cannot write the export to {out}: {error.strerror or error}") from error
    return CocoSummary(out, len(listed), count)


def _copy_images(folder: Path, sources: Iterable[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if not source.is_file():
            raise CocoError(f"the stored image {source.name} is missing; import it again")
        target = folder / source.name
        if not target.exists() or target.stat().st_size != source.stat().st_size:
            with source.open("rb") as content, atomic_writer(target) as stream:
                shutil.copyfileobj(content, stream)


def _drop_stale_images(folder: Path, frame_ids: set[str]) -> None:
    """Remove images that an earlier export into the same folder left; files of other names are not ours."""
    for path in folder.glob("*.png"):
        is_ours = len(path.stem) == 32 and not path.stem.strip("0123456789abcdef")
        if is_ours and path.stem not in frame_ids:
            path.unlink()


def _write_document(stream: BinaryIO, entries: Sequence[CocoEntry], which: str) -> int:
    info = {
        "description": f"Fetal ultrasound annotations ({which}). {NOT_FOR_CLINICAL_USE}",
        "version": annotator.__version__,
        "which": which,
        "pixel_convention": "edge: pixel i covers [i, i + 1)",
    }
    stream.write(b'{"info":' + orjson.dumps(info) + b',"licenses":[],"categories":' + orjson.dumps(categories()))
    stream.write(b',"images":')
    _write_array(stream, (image_record(number, entry) for number, entry in enumerate(entries, 1)))
    stream.write(b',"annotations":')
    count = _write_array(stream, _annotations(entries))
    stream.write(b"}\n")
    return count


def _write_array(stream: BinaryIO, records: Iterable[Mapping[str, Any]]) -> int:
    """Write a JSON array in chunks, so that memory does not grow with the data set."""
    count, chunk = 0, []
    stream.write(b"[")
    for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            stream.write((b"," if count else b"") + orjson.dumps(chunk)[1:-1])
            count, chunk = count + len(chunk), []
    if chunk:
        stream.write((b"," if count else b"") + orjson.dumps(chunk)[1:-1])
    stream.write(b"]")
    return count + len(chunk)


def _annotations(entries: Sequence[CocoEntry]) -> Iterator[dict[str, Any]]:
    annotation_id = 0
    for image_id, entry in enumerate(entries, 1):
        for finding in entry.said.findings:
            annotation_id += 1
            yield annotation_record(annotation_id, image_id, finding, entry.said)


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


def image_record(image_id: int, entry: CocoEntry) -> dict[str, Any]:
    """Return a frame as a COCO image."""
    frame, said = entry.frame, entry.said
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
        "pixel_spacing_mm": list(frame.pixel_spacing_mm) if frame.pixel_spacing_mm else None,
        "simulated": frame.simulated,
    }
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


def annotation_record(
    annotation_id: int, image_id: int, finding: Finding, said: Prediction | Correction
) -> dict[str, Any]:
    """Return a finding as a COCO annotation; `bbox` is [x, y, width, height] in pixels."""
    mask = finding.mask_rle
    box = rle_to_box_xyxy(mask) if mask else finding.box_xyxy
    width, height = box[2] - box[0], box[3] - box[1]
    record: dict[str, Any] = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": taxonomy.structure(finding.structure).coco_id,
        "bbox": [box[0], box[1], width, height],
        "area": rle_area(mask) if mask else width * height,
        "segmentation": mask_to_segmentation(mask) if mask else [],
        "iscrowd": 0,
        "attributes": _annotation_attributes(finding, said),
    }
    if finding.score is not None:
        record["score"] = finding.score
    if finding.keypoints:
        record["keypoints"] = [
            value for point in finding.keypoints for value in (point.x, point.y, point.visibility)
        ]
        record["num_keypoints"] = sum(point.visibility > 0 for point in finding.keypoints)
    return record


def _annotation_attributes(finding: Finding, said: Prediction | Correction) -> dict[str, Any]:
    attributes: dict[str, Any] = {"finding_id": finding.finding_id, "origin": finding.origin.value}
    if isinstance(said, Prediction):
        attributes |= {"model_version": said.model_version, "prediction_id": said.prediction_id}
    else:
        attributes |= {"reader": said.reader, "correction_id": said.correction_id, "parent": said.prediction_id}
        if finding.finding_id in said.changes:
            attributes["change"] = said.changes[finding.finding_id].value
    if finding.parent_finding_id:
        attributes["parent_finding_id"] = finding.parent_finding_id
    for name in ("ellipse", "rotated_box"):
        shape = getattr(finding, name)
        if shape is not None:
            attributes[name] = shape.model_dump()
    x_min, y_min, x_max, y_max = finding.box_xyxy
    as_read = (x_min, y_min, x_min + (x_max - x_min), y_min + (y_max - y_min))  # x + width may round
    if (rle_to_box_xyxy(finding.mask_rle) if finding.mask_rle else as_read) != finding.box_xyxy:
        attributes["box_xyxy"] = list(finding.box_xyxy)
    return attributes


def mask_to_segmentation(rle: MaskRle) -> list[list[float]] | dict[str, Any]:
    """Return lossless polygons where pycocotools turns them back into this very mask, else compressed RLE."""
    mask = rle_to_mask(rle)
    rings, has_hole = mask_to_edge_rings(mask)
    if rings and not has_hole:
        height, width = rle.size_hw
        if np.array_equal(polygons_to_mask(rings, (width, height)), mask):
            return [ring.ravel().tolist() for ring in rings]
    coco_rle = rle_as_coco(rle)
    return {"size": coco_rle["size"], "counts": rle.counts}

"""COCO files of others, and our own, -> what they say of each image; every oddity is reported, none is silent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pycocotools import mask as coco_mask
from pydantic import ValidationError

from annotator import taxonomy
from annotator.errors import CocoError
from annotator.frames import FrameFacts
from annotator.geometry import mask_to_rle, polygons_to_mask, rle_area, rle_to_box_xyxy
from annotator.schema import BoxXyxy, Ellipse, Finding, Keypoint, MaskRle, Origin, RotatedBox


@dataclass(frozen=True)
class CocoImage:
    """One image of a COCO file: its name and size there, facts of the frame, and the findings on it."""

    file_name: str
    size_wh: tuple[int, int]
    facts: FrameFacts
    plane: str | None
    findings: tuple[Finding, ...]


@dataclass
class CocoFile:
    """A read COCO file: images in file order; oddities counted by what they are."""

    images: list[CocoImage] = field(default_factory=list)
    oddities: Counter[str] = field(default_factory=Counter)


def read_coco(path: Path, *, source: str = "", with_annotations: bool = True) -> CocoFile:
    """Read a COCO annotation file; CocoError where it is none at all."""
    document = _load(path)
    result = CocoFile()
    names = {item.get("id"): str(item.get("name")) for item in document.get("categories", [])}
    annotations: dict[Any, list[Mapping[str, Any]]] = {}
    image_ids = {image.get("id") for image in document["images"] if isinstance(image, dict)}
    for annotation in document.get("annotations", []) if with_annotations else []:
        if not isinstance(annotation, dict) or annotation.get("image_id") not in image_ids:
            result.oddities["annotation of an image that the file does not hold"] += 1
            continue
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    for image in document["images"]:
        parsed = _read_image(image, annotations, names, source, result.oddities)
        if parsed is not None:
            result.images.append(parsed)
    return result


def _load(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise CocoError(f"cannot read the COCO file {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise CocoError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise CocoError(f"{path} is not a COCO file: it has no list of images")
    return document


def _read_image(
    image: Any,
    annotations: Mapping[Any, list[Mapping[str, Any]]],
    names: Mapping[Any, str],
    source: str,
    oddities: Counter[str],
) -> CocoImage | None:
    try:
        size_wh = (int(image["width"]), int(image["height"]))
        file_name = str(image["file_name"])
    except (KeyError, TypeError, ValueError):
        oddities["image without file_name, width or height"] += 1
        return None
    said = {**image, **_dictionary(image.get("attributes"))}
    plane = said.get("plane")
    if plane is not None and not taxonomy.is_view(str(plane)):
        oddities[f"unknown plane {plane!r}"] += 1
        plane = None
    findings = []
    for annotation in annotations.get(image.get("id"), []):
        finding = _read_annotation(annotation, names, size_wh, oddities)
        if finding is not None:
            findings.append(finding)
    return CocoImage(file_name, size_wh, _facts(said, source), plane, tuple(findings))


def _facts(said: Mapping[str, Any], source: str) -> FrameFacts:
    spacing = said.get("pixel_spacing_mm") or said.get("pixel_spacing_mm_row_col")
    if spacing is None and said.get("pixel_size_mm"):
        spacing = [said["pixel_size_mm"]] * 2
    valid_spacing = None
    if isinstance(spacing, list) and len(spacing) == 2 and all(_is_length(value) for value in spacing):
        valid_spacing = (float(spacing[0]), float(spacing[1]))
    return FrameFacts(
        source=source or _text(said, "source") or "",
        subject=_text(said, "subject", "subject_id"),
        group=_text(said, "group", "duplicate_group"),
        site=_text(said, "site"),
        scanner=_text(said, "scanner", "us_machine"),
        split=_text(said, "split"),
        pixel_spacing_mm=valid_spacing,
        simulated=said.get("simulated") is True,
    )


def _read_annotation(
    annotation: Mapping[str, Any], names: Mapping[Any, str], size_wh: tuple[int, int], oddities: Counter[str]
) -> Finding | None:
    structure = names.get(annotation.get("category_id"), f"category {annotation.get('category_id')}")
    if not taxonomy.is_structure(structure):
        oddities[f"unknown structure {structure!r}"] += 1
        return None
    try:
        mask = _read_mask(annotation.get("segmentation"), size_wh)
        attributes = _dictionary(annotation.get("attributes"))
        return Finding(
            structure=structure,
            box_xyxy=_read_box(annotation, attributes, mask),
            mask_rle=mask,
            ellipse=Ellipse(**attributes["ellipse"]) if "ellipse" in attributes else None,
            rotated_box=RotatedBox(**attributes["rotated_box"]) if "rotated_box" in attributes else None,
            keypoints=_read_keypoints(annotation, structure),
            score=annotation.get("score"),
            origin=Origin(attributes.get("origin", Origin.MANUAL)),
        )
    except (ValidationError, ValueError, TypeError, KeyError, IndexError) as error:
        oddities[f"unusable annotation of {structure}: {_first_line(error)}"] += 1
        return None


def _read_mask(segmentation: Any, size_wh: tuple[int, int]) -> MaskRle | None:
    width, height = size_wh
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation]
        rle = mask_to_rle(polygons_to_mask(rings, size_wh))
    else:
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"RLE size {segmentation['size']} is not the image's [{height}, {width}]")
        rle = MaskRle(size_hw=(height, width), counts=_compressed_counts(segmentation, width * height))
    return rle if rle_area(rle) else None


def _compressed_counts(segmentation: Mapping[str, Any], pixels: int) -> str:
    counts = segmentation["counts"]
    runs = counts if isinstance(counts, list) else coco_rle_runs(counts)
    if sum(runs) != pixels or any(run < 0 for run in runs):
        raise ValueError(f"RLE covers {sum(runs)} of {pixels} pixels")
    if isinstance(counts, str):
        return counts
    height, width = segmentation["size"]
    compressed: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return compressed.decode("ascii")


def coco_rle_runs(counts: str) -> list[int]:
    """Return the run lengths of compressed RLE; pycocotools itself crashes on a string that was cut off.

    Five bits a character, least significant first, bit 5 = more follow, bit 4 of the last = sign; from the fourth
    run on, each is stored as the difference to the one two before.

    >>> coco_rle_runs("0120")
    [0, 1, 2, 1]
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts.encode("ascii"):
        code = character - 48
        if not 0 <= code < 64:
            raise ValueError("RLE counts hold a character that is none of theirs")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("RLE counts were cut off")
    return runs


def _read_box(annotation: Mapping[str, Any], attributes: Mapping[str, Any], mask: MaskRle | None) -> BoxXyxy:
    if "box_xyxy" in attributes:
        x_min, y_min, x_max, y_max = attributes["box_xyxy"]
        return (x_min, y_min, x_max, y_max)
    if mask is not None:
        return rle_to_box_xyxy(mask)
    x, y, width, height = (float(value) for value in annotation["bbox"])
    return (x, y, x + width, y + height)


def _read_keypoints(annotation: Mapping[str, Any], structure: str) -> tuple[Keypoint, ...]:
    flat = annotation.get("keypoints")
    if not flat:
        return ()
    names = taxonomy.KEYPOINT_NAMES.get(structure, ())
    triples = [flat[start : start + 3] for start in range(0, len(flat), 3)]
    return tuple(
        Keypoint(name=names[place] if place < len(names) else str(place + 1), x=x, y=y, visibility=visibility)
        for place, (x, y, visibility) in enumerate(triples)
    )


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(said: Mapping[str, Any], *keys: str) -> str | None:
    return next((str(said[key]) for key in keys if said.get(key) not in (None, "")), None)


def _is_length(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < float("inf")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return (str(error).splitlines() or [type(error).__name__])[0]

"""COCO files of others, and our own, -> what they say of each image; every oddity is reported, none is silent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from annotator import taxonomy
from annotator.errors import CocoError
from annotator.frames import FrameFacts
from annotator.geometry import rle_to_box_xyxy
from annotator.schema import BoxXyxy, Ellipse, Finding, Keypoint, MaskRle, Origin, RotatedBox
from exports.coco_masks import read_mask

Id = int | str | None

MOST_PIXELS = 200_000_000  # a mask of more does not fit into memory


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
    names = {
        _id(item.get("id")): str(item.get("name")) for item in _objects(document, "categories", result.oddities)
    }
    images = _distinct(_objects(document, "images", result.oddities), result.oddities)
    annotations: dict[Id, list[Mapping[str, Any]]] = {_id(image.get("id")): [] for image in images}
    annotations.pop(None, None)
    names.pop(None, None)
    seen: set[Id] = set()
    for annotation in _objects(document, "annotations", result.oddities) if with_annotations else []:
        place = annotations.get(_id(annotation.get("image_id")))
        if place is None:
            result.oddities["annotation of an image that the file does not hold"] += 1
            continue
        place.append(annotation)
        annotation_id = _id(annotation.get("id"))
        result.oddities["annotation id used before"] += annotation_id is not None and annotation_id in seen
        seen.add(annotation_id)
    for image in images:
        parsed = _read_image(image, annotations, names, source, result.oddities)
        if parsed is not None:
            result.images.append(parsed)
    result.oddities = +result.oddities
    return result


def _load(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise CocoError(f"cannot read the COCO file {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise CocoError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise CocoError(f"{path} is not a COCO file: it has no list of images")
    return document


def _objects(document: Mapping[str, Any], key: str, oddities: Counter[str]) -> list[dict[str, Any]]:
    listed = document.get(key)
    if listed is not None and not isinstance(listed, list):
        oddities[f"{key} that are not a list"] += 1
    items = listed if isinstance(listed, list) else []
    objects = [item for item in items if isinstance(item, dict)]
    oddities[f"entry of {key} that is not an object"] += len(items) - len(objects)
    return objects


def _id(value: Any) -> Id:
    """Return a value that identifies something, or None; whole numbers may come as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) else None


def _distinct(images: Sequence[dict[str, Any]], oddities: Counter[str]) -> list[dict[str, Any]]:
    """Leave out images whose id another one has: whose the annotations are cannot be told."""
    files: dict[Id, set[str]] = {}
    for image in images:
        files.setdefault(_id(image.get("id")), set()).add(str(image.get("file_name")))
    distinct, seen = [], set()
    for image in images:
        image_id = _id(image.get("id"))
        if image_id is not None and len(files[image_id]) > 1:
            oddities["image whose id another image has"] += 1
        elif image_id is not None and image_id in seen:
            oddities["image listed twice"] += 1
        else:
            distinct.append(image)
        seen.add(image_id)
    return distinct


def _read_image(
    image: Mapping[str, Any],
    annotations: Mapping[Id, list[Mapping[str, Any]]],
    names: Mapping[Id, str],
    source: str,
    oddities: Counter[str],
) -> CocoImage | None:
    try:
        size_wh = (int(image["width"]), int(image["height"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        size_wh = (0, 0)
    file_name = image.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        oddities["image without a file_name"] += 1
        return None
    if min(size_wh) < 1 or size_wh[0] * size_wh[1] > MOST_PIXELS:
        oddities["image without a usable width and height"] += 1
        return None
    said = {**image, **_dictionary(image.get("attributes"))}
    plane = said.get("plane")
    if plane is not None and not (isinstance(plane, str) and taxonomy.is_view(plane)):
        oddities[f"unknown plane {_excerpt(plane)}"] += 1
        plane = None
    findings = []
    for annotation in annotations.get(_id(image.get("id")), []):
        finding = _read_annotation(annotation, names, size_wh, oddities)
        if finding is not None:
            findings.append(finding)
    return CocoImage(file_name, size_wh, _facts(said, source, oddities), plane, tuple(findings))


def _facts(said: Mapping[str, Any], source: str, oddities: Counter[str]) -> FrameFacts:
    spacing = said.get("pixel_spacing_mm") or said.get("pixel_spacing_mm_row_col")
    if spacing is None and said.get("pixel_size_mm"):
        spacing = [said["pixel_size_mm"]] * 2
    valid_spacing = None
    if isinstance(spacing, list) and len(spacing) == 2 and all(_is_length(value) for value in spacing):
        valid_spacing = (float(spacing[0]), float(spacing[1]))
    elif spacing is not None:
        oddities["unusable pixel spacing"] += 1
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
    annotation: Mapping[str, Any], names: Mapping[Id, str], size_wh: tuple[int, int], oddities: Counter[str]
) -> Finding | None:
    category_id = annotation.get("category_id")
    structure = names.get(_id(category_id), f"category {category_id}")
    if not taxonomy.is_structure(structure):
        oddities[f"unknown structure {_excerpt(structure)}"] += 1
        return None
    try:
        mask = read_mask(annotation.get("segmentation"), size_wh, oddities)
        attributes = _dictionary(annotation.get("attributes"))
        return Finding(
            structure=structure,
            box_xyxy=_read_box(annotation, attributes, mask, size_wh),
            mask_rle=mask,
            ellipse=Ellipse(**attributes["ellipse"]) if "ellipse" in attributes else None,
            rotated_box=RotatedBox(**attributes["rotated_box"]) if "rotated_box" in attributes else None,
            keypoints=_read_keypoints(annotation, structure),
            score=annotation.get("score"),
            origin=Origin(attributes.get("origin", Origin.MANUAL)),
        )
    except (ValidationError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        oddities[f"unusable annotation of {structure}: {_first_line(error)}"] += 1
        return None


def _read_box(
    annotation: Mapping[str, Any], attributes: Mapping[str, Any], mask: MaskRle | None, size_wh: tuple[int, int]
) -> BoxXyxy:
    if "box_xyxy" in attributes:
        x_min, y_min, x_max, y_max = attributes["box_xyxy"]
        return (x_min, y_min, x_max, y_max)
    if mask is not None:
        return rle_to_box_xyxy(mask)
    if not isinstance(annotation.get("bbox"), list):
        raise ValueError("neither a bbox nor a segmentation")
    x, y, width, height = (float(value) for value in annotation["bbox"])
    if x > size_wh[0] or y > size_wh[1] or x + width < 0 or y + height < 0:
        raise ValueError("bbox outside of the image")
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


def _excerpt(value: Any) -> str:
    return repr(value)[:80]


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(said: Mapping[str, Any], *keys: str) -> str | None:
    return next((str(said[key]) for key in keys if said.get(key) not in (None, "")), None)


def _is_length(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return (str(error).splitlines() or [type(error).__name__])[0]

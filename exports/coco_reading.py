"""COCO files of others, and our own, -> what they say of each image; every oddity is reported, none is silent."""

import json
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
from annotator.schema import Finding
from exports.coco_findings import Id, dictionary, excerpt, id_of, read_finding
from exports.coco_records import KINDS
from exports.entries import Said

LARGEST_FILE = 2_000_000_000  # bytes
BYTES_OF_MEMORY = 8  # that reading takes for each byte of the file, about
MOST_PIXELS = 200_000_000  # a mask of more does not fit into memory


@dataclass(frozen=True)
class CocoImage:
    """One image of a COCO file: its name and size there, facts of the frame, and the findings on it.

    `said` is the whole record where the file is an export of ours, else None.
    """

    file_name: str
    size_wh: tuple[int, int]
    facts: FrameFacts
    plane: str | None
    findings: tuple[Finding, ...]
    said: Said | None = None


@dataclass
class CocoFile:
    """A read COCO file: images in file order; oddities counted by what they are."""

    images: list[CocoImage] = field(default_factory=list)
    oddities: Counter[str] = field(default_factory=Counter)


def read_coco(path: Path, *, source: str = "", with_annotations: bool = True) -> CocoFile:
    """Read a COCO annotation file; CocoError where it is none at all, or too large for this machine's memory."""
    result = CocoFile()
    document = _load(path, result.oddities)
    names = _category_names(document, result.oddities)
    images = _distinct(_objects(document, "images", result.oddities), result.oddities)
    annotations = _by_image(document, images, result.oddities) if with_annotations else {}
    for image in images:
        parsed = _read_image(image, annotations, names, source, result.oddities)
        if parsed is not None:
            result.images.append(parsed)
    result.oddities = +result.oddities
    return result


def _load(path: Path, oddities: Counter[str]) -> dict[str, Any]:
    try:
        _check_size(path)
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise CocoError(f"cannot read the COCO file {path}: {error.strerror}") from error
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in content and b"Infinity" not in content:
            raise CocoError(f"{path} is not JSON: {error}") from error
        document = _load_with_nan(path, content, oddities)
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise CocoError(f"{path} is not a COCO file: it has no list of images")
    return document


def _check_size(path: Path) -> None:
    """A file is read as a whole: one that does not fit into memory would take the machine down with it."""
    size, available = path.stat().st_size, _available_memory()
    if size > LARGEST_FILE or size * BYTES_OF_MEMORY > available:
        limit = min(LARGEST_FILE, available // BYTES_OF_MEMORY)
        raise CocoError(
            f"{path} has {size / 1e9:.1f} GB; at most {limit / 1e9:.1f} GB can be read here. Split it by images"
        )


def _available_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # another system: only the fixed limit counts
        return LARGEST_FILE * BYTES_OF_MEMORY


def _load_with_nan(path: Path, content: bytes, oddities: Counter[str]) -> Any:
    """JSON has no NaN, yet Python and pandas write it: such a number is one that is not there."""

    def nothing(_: str) -> None:
        oddities["NaN or Infinity, read as nothing"] += 1

    try:
        return json.loads(content, parse_constant=nothing)
    except (ValueError, RecursionError) as error:
        raise CocoError(f"{path} is not JSON: {error}") from error


def _category_names(document: Mapping[str, Any], oddities: Counter[str]) -> dict[Id, str]:
    names: dict[Id, str] = {}
    for item in _objects(document, "categories", oddities):
        name = str(item.get("name"))
        if names.setdefault(id_of(item.get("id")), name) != name:
            oddities[f"category id used before, {excerpt(name)} left out"] += 1
    names.pop(None, None)
    return names


def _by_image(
    document: Mapping[str, Any], images: Sequence[Mapping[str, Any]], oddities: Counter[str]
) -> dict[Id, list[Mapping[str, Any]]]:
    annotations: dict[Id, list[Mapping[str, Any]]] = {id_of(image.get("id")): [] for image in images}
    annotations.pop(None, None)
    seen: set[Id] = set()
    for annotation in _objects(document, "annotations", oddities):
        place = annotations.get(id_of(annotation.get("image_id")))
        if place is None:
            oddities["annotation of an image that the file does not hold"] += 1
            continue
        place.append(annotation)
        annotation_id = id_of(annotation.get("id"))
        oddities["annotation id used before"] += annotation_id is not None and annotation_id in seen
        seen.add(annotation_id)
    return annotations


def _objects(document: Mapping[str, Any], key: str, oddities: Counter[str]) -> list[dict[str, Any]]:
    listed = document.get(key)
    if listed is not None and not isinstance(listed, list):
        oddities[f"{key} that are not a list"] += 1
    items = listed if isinstance(listed, list) else []
    objects = [item for item in items if isinstance(item, dict)]
    oddities[f"entry of {key} that is not an object"] += len(items) - len(objects)
    return objects


def _distinct(images: Sequence[dict[str, Any]], oddities: Counter[str]) -> list[dict[str, Any]]:
    """Leave out images whose id another one has: whose the annotations are cannot be told."""
    files: dict[Id, set[str]] = {}
    for image in images:
        files.setdefault(id_of(image.get("id")), set()).add(str(image.get("file_name")))
    distinct, seen = [], set()
    for image in images:
        image_id = id_of(image.get("id"))
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
    said = {**image, **dictionary(image.get("attributes"))}
    plane = said.get("plane")
    if plane is not None and not (isinstance(plane, str) and taxonomy.is_view(plane)):
        oddities[f"unknown plane {excerpt(plane)}"] += 1
        plane = None
    read = (read_finding(one, names, size_wh, oddities) for one in annotations.get(id_of(image.get("id")), []))
    findings = tuple(finding for finding in read if finding is not None)
    return CocoImage(
        file_name=_plain_path(file_name, oddities),
        size_wh=size_wh,
        facts=_facts(said, source, oddities),
        plane=plane,
        findings=findings,
        said=_record_of_ours(dictionary(image.get("attributes")), plane, findings, oddities),
    )


def _plain_path(file_name: str, oddities: Counter[str]) -> str:
    path = file_name.replace("\\", "/")
    if path.startswith("/") or path[1:3] == ":/" or "://" in path:
        oddities["file_name with the folders of another machine, only its end is used"] += 1
    return path


def _record_of_ours(
    attributes: Mapping[str, Any], plane: str | None, findings: tuple[Finding, ...], oddities: Counter[str]
) -> Said | None:
    """Put the record together of which an export of ours is made; None where there is none, or it was edited."""
    for kind, record in KINDS.items():
        if not isinstance(attributes.get(kind), dict):
            continue
        given = {"frame_id": attributes.get("frame_id"), "plane": plane, "findings": findings}
        if kind == "prediction":
            given["plane_score"] = attributes.get("plane_score")
        try:
            return record.model_validate(attributes[kind] | given)
        except ValidationError:
            oddities[f"{kind} of ours that was edited elsewhere, only its findings are taken"] += 1
    return None


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


def _text(said: Mapping[str, Any], *keys: str) -> str | None:
    return next((str(said[key]) for key in keys if said.get(key) not in (None, "")), None)


def _is_length(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")

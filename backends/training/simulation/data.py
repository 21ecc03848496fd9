"""A labelled set in memory, small: frames on the grid of the simulation's network with their truth.

A folder with a COCO `annotations.json`; subjects with a frame in the splits val or test are the frozen test set,
else about every fifth by a hash; those of the split study are left out. What belongs together is named by
`subject_id`, `subject`, `duplicate_group` or `group`, of the image or, as this tool exports it, of its
`attributes`. Strata are what is known before anybody labels: site and scanner where the file names them, and the
pixel spacing (a setting of the machine that goes with the gestational age) or else the width of the source frame
(the machine's screen), in thirds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from annotator.errors import InputError
from annotator.geometry import polygons_to_mask
from backends.embedded.framing import Framing, Gray, framed, letterbox

Kind = Literal["masks", "boxes"]
GRIDS: Mapping[Kind, tuple[int, int]] = {"masks": (64, 48), "boxes": (128, 88)}
_UNITS = ("subject_id", "subject", "duplicate_group", "group")
_TEST_SPLITS = ("val", "valid", "validation", "test", "testing")


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame: `pixels` and `masks` (C, H, W) of 0 and 1 on the grid, `boxes` (C, 4) there, nan where absent."""

    frame_id: str
    unit: str
    stratum: str
    pixels: Gray
    masks: NDArray[np.uint8]
    boxes: NDArray[np.float64]

    def present(self, structures: Sequence[str]) -> frozenset[str]:
        """Names of the structures that are labelled."""
        of_masks = np.asarray(self.masks.any(axis=(1, 2)))
        is_there = of_masks if len(self.masks) else ~np.isnan(self.boxes[:, 0])
        return frozenset(name for name, there in zip(structures, is_there.tolist(), strict=True) if there)


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """All frames of a folder, those to choose from and those to be measured on."""

    name: str
    kind: Kind
    structures: tuple[str, ...]
    pool: tuple[Sample, ...]
    test: tuple[Sample, ...]
    sha256: str


def load_labelled(folder: Path, kind: Kind | None = None) -> LabelledSet:
    """Read a folder; masks are chosen where any annotation has a segmentation, else boxes.

    Raises InputError where a file is missing or unreadable, or nothing is left to learn from or to test on.
    """
    index = folder / "annotations.json"
    if not index.is_file():
        raise InputError(f"{index} is missing; give a folder with a COCO annotations.json and its images")
    content = index.read_bytes()
    coco = _parsed(index, content)
    annotations = [one for one in coco["annotations"] if kind != "masks" or one.get("segmentation")]
    if not annotations:
        raise InputError(f"{index} holds no annotations of the kind to be learnt; choose another set")
    chosen: Kind = kind or ("masks" if any(one.get("segmentation") for one in annotations) else "boxes")
    used = {one["category_id"] for one in annotations}
    names = {one["id"]: one["name"] for one in coco["categories"] if one["id"] in used}
    reader = _Reader(folder, chosen, list(names))
    by_image: dict[int, list[dict[str, Any]]] = {}
    for one in annotations:
        by_image.setdefault(one["image_id"], []).append(one)
    images = _usable([{**(image.get("attributes") or {}), **image} for image in coco["images"]], by_image)
    strata = _strata(images)
    samples = [
        reader.read(image, stratum, by_image[image["id"]]) for image, stratum in zip(images, strata, strict=True)
    ]
    held_out = _held_out(images)
    pool = tuple(sample for sample in samples if sample.unit not in held_out)
    test = tuple(sample for sample in samples if sample.unit in held_out)
    if not pool or not test:
        raise InputError(
            f"{folder} has {len(pool)} frames to learn from and {len(test)} to test on; both are needed"
        )
    return LabelledSet(folder.name, chosen, tuple(names.values()), pool, test, hashlib.sha256(content).hexdigest())


def _parsed(index: Path, content: bytes) -> dict[str, Any]:
    try:
        coco = json.loads(content)
    except ValueError:
        coco = None
    if not isinstance(coco, dict) or not all(part in coco for part in ("images", "annotations", "categories")):
        raise InputError(f"{index} is no COCO file; it must hold images, annotations and categories")
    return coco


def _usable(images: Sequence[dict[str, Any]], labelled: Collection[int]) -> list[dict[str, Any]]:
    """Images that are labelled, without the subjects that readers are studied on."""
    studied = {_unit(image) for image in images if image.get("split") == "study"}
    return [image for image in images if image["id"] in labelled and _unit(image) not in studied]


class _Reader:
    def __init__(self, folder: Path, kind: Kind, categories: list[int]) -> None:
        self.folder, self.kind, self.categories = folder, kind, categories

    def read(self, image: dict[str, Any], stratum: str, annotations: list[dict[str, Any]]) -> Sample:
        path = self.folder / image["file_name"]
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise InputError(f"{path} cannot be read as an image")
        frame_wh = (pixels.shape[1], pixels.shape[0])
        grid = letterbox(frame_wh, GRIDS[self.kind])
        small = framed(np.asarray(pixels, np.uint8), grid)
        name, unit = str(image["file_name"]), _unit(image)
        if self.kind == "masks":
            masks = np.array([_mask(annotations, one, frame_wh, grid) for one in self.categories], np.uint8)
            return Sample(name, unit, stratum, small, masks, np.zeros((0, 4)))
        boxes = np.array([_box(annotations, one, grid) for one in self.categories], np.float64)
        return Sample(name, unit, stratum, small, np.zeros((0, 0, 0), np.uint8), boxes)


def _mask(
    annotations: list[dict[str, Any]], category: int, frame_wh: tuple[int, int], grid: Framing
) -> NDArray[np.uint8]:
    mask = np.zeros(frame_wh[::-1], bool)
    for one in (one for one in annotations if one["category_id"] == category):
        mask |= _rasterised(one["segmentation"], frame_wh)
    return np.asarray(framed(mask.astype(np.uint8) * np.uint8(255), grid) > 127, np.uint8)


def _rasterised(segmentation: Any, frame_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Polygons, compressed or uncompressed RLE, as COCO has them."""
    if isinstance(segmentation, list):
        return polygons_to_mask([np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation], frame_wh)
    is_plain = isinstance(segmentation["counts"], list)
    rle = coco_mask.frPyObjects(segmentation, *frame_wh[::-1]) if is_plain else segmentation
    return np.asarray(coco_mask.decode(rle), bool)


def _box(annotations: list[dict[str, Any]], category: int, grid: Framing) -> NDArray[np.float64]:
    """The first box of a category on the grid: these structures lie in a frame once."""
    for one in annotations:
        if one["category_id"] == category:
            x, y, width, height = one["bbox"]
            return grid.to_grid(np.array([[x, y], [x + width, y + height]])).ravel()
    return np.full(4, np.nan)


def _unit(image: dict[str, Any]) -> str:
    known = next((image[name] for name in _UNITS if image.get(name)), image["file_name"])
    return f"{image.get('source') or ''}/{known}"


def _held_out(images: Sequence[dict[str, Any]]) -> set[str]:
    named = {_unit(image) for image in images if str(image.get("split") or "").casefold() in _TEST_SPLITS}
    hashed = {_unit(image) for image in images if hashlib.sha256(_unit(image).encode()).digest()[0] % 5 == 0}
    return named or hashed


def _strata(images: Sequence[dict[str, Any]]) -> list[str]:
    spacing = [_spacing_mm(image) for image in images]
    width = [image.get("source_width") or image["width"] for image in images]
    has_spacing = sum(value is not None for value in spacing) > len(images) / 2
    bands = _thirds("spacing", spacing) if has_spacing else _thirds("width", width)
    return [
        "|".join(str(part) for part in (image.get("site") or "", image.get("scanner") or "", band))
        for image, band in zip(images, bands, strict=True)
    ]


def _spacing_mm(image: dict[str, Any]) -> float | None:
    row_and_column = image.get("pixel_spacing_mm") or (None,)
    return image.get("source_pixel_size_mm") or image.get("pixel_size_mm") or row_and_column[0]


def _thirds(name: str, values: Sequence[float | None]) -> list[str]:
    known = [value for value in values if value is not None]
    edges = np.quantile(known, (1 / 3, 2 / 3))
    bands = ("low", "middle", "high")
    return [
        f"{name} unknown" if value is None else f"{name} {bands[int(np.searchsorted(edges, value))]}"
        for value in values
    ]

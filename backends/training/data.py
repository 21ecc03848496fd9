"""The development data in memory: three folders, each with a COCO file that gives every image its split.

hc18 has head masks, fetus_nt boxes of first-trimester structures, brain_planes one plane label an image.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError
from annotator.geometry import polygons_to_mask
from backends.embedded.framing import Gray

SOURCES = ("hc18", "fetus_nt", "brain_planes")
VIEWS = ("brain", "first_trimester", "other")
VIEW_OF_SOURCE = {"hc18": "brain", "brain_planes": "brain", "fetus_nt": "first_trimester"}


@dataclass(frozen=True, eq=False)
class Example:
    """One frame with what is known of it; `boxes` maps a structure to its box_xyxy in pixels.

    `view` is the kind of frame, one of VIEWS; None where only `source` tells it, or nobody knows.
    """

    name: str
    source: str
    split: str
    subject: str
    pixels: Gray
    mask: Gray | None = None
    boxes: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    plane: str | None = None
    view: str | None = None

    @property
    def kind(self) -> str | None:
        """The kind of frame, None where nobody knows."""
        return self.view or VIEW_OF_SOURCE.get(self.source)

    @property
    def knows_head(self) -> bool:
        """Whether `mask` (None: no head) is the truth; a brain plane without one has a head all the same."""
        return self.mask is not None or self.kind in ("first_trimester", "other")


def load_examples(data_dir: Path) -> list[Example]:
    """Read all frames of the three sources; each folder holds `annotations.json` and its images."""
    return [example for source in SOURCES for example in _load_source(data_dir / source)]


def data_hashes(data_dir: Path) -> dict[str, str]:
    """SHA-256 of each source's annotations.json, which names every image."""
    files = {source: data_dir / source / "annotations.json" for source in SOURCES}
    return {source: hashlib.sha256(path.read_bytes()).hexdigest() for source, path in files.items()}


def _load_source(folder: Path) -> list[Example]:
    index = folder / "annotations.json"
    if not index.is_file():
        wanted = ", ".join(SOURCES)
        raise InputError(f"{index} is missing; the data folder needs {wanted}, each with annotations.json")
    coco = json.loads(index.read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in coco["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    return [_load_example(folder, image, by_image.get(image["id"], []), names) for image in coco["images"]]


def _load_example(
    folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], names: dict[int, str]
) -> Example:
    path = folder / image["file_name"]
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise InputError(f"{path} cannot be read as an image")
    return Example(
        name=image["file_name"],
        source=folder.name,
        split=image["split"],
        subject=image.get("subject_id") or image.get("duplicate_group") or image["file_name"],
        pixels=np.asarray(pixels, np.uint8),
        mask=_load_mask(folder, image, annotations),
        boxes={names[a["category_id"]]: _xyxy(a["bbox"]) for a in annotations if not a["segmentation"]},
        plane=image.get("plane"),
    )


def _load_mask(folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]]) -> Gray | None:
    """The mask image beside the frame where the file names one, else the filled polygons, else None."""
    if "mask_file" in image:
        mask = cv2.imread(str(folder / image["mask_file"]), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise InputError(f"{folder / image['mask_file']} cannot be read as an image")
        return (np.asarray(mask) > 0).astype(np.uint8)
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for a in annotations for ring in a["segmentation"]]
    return polygons_to_mask(rings, (image["width"], image["height"])).astype(np.uint8) if rings else None


def _xyxy(bbox: list[float]) -> NDArray[np.float64]:
    x, y, width, height = bbox
    return np.array([x, y, x + width, y + height])

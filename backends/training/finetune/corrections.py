"""Corrections as the embedded model learns from them: a data set that `annotator export dataset` wrote.

    head     frames with an outline of Brain; frames of another kind hold none
    boxes    frames with any of the nine first-trimester structures, and frames of another kind, which hold none
    planes   frames of a brain plane

A frame's corrections are taken as complete: a structure of a first-trimester view that a reader did not leave there
is absent. What cannot be learnt from is counted and named, never silently passed over.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from annotator.errors import InputError
from annotator.geometry import ellipse_to_mask, polygons_to_mask, rle_to_mask
from annotator.schema import Ellipse, MaskRle
from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE
from backends.embedded import HEAD
from backends.embedded.framing import Gray
from backends.training.box_task import STRUCTURES
from backends.training.data import Example

SPLITS = ("train", "val")
_NOT_VIEWS = ("NO_PLANE",)


@dataclass(frozen=True)
class Corrections:
    """The frames that can be learnt from, those that are left out by reason, and the hash of what was read."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""


def load_corrections(folder: Path) -> Corrections:
    """Read the splits `train` and `val`; InputError where nothing can be learnt, or a file is not as it says."""
    digest, left_out = hashlib.sha256(), Counter[str]()
    found: dict[str, list[Example]] = {}
    for split in SPLITS:
        path = folder / f"annotations_{split}.json"
        if split == "val" and not path.is_file():
            continue
        content = _read(path)
        digest.update(content)
        found[split] = _examples(folder, path, content, split, left_out)
    if not any(_teaches(example) for example in found["train"]):
        why = "; ".join(f"{count} x {what}" for what, count in left_out.items()) or "no frame is in its train split"
        raise InputError(f"{folder} holds nothing that the embedded model could learn ({why})")
    return Corrections(tuple(found["train"]), tuple(found.get("val", ())), dict(left_out), digest.hexdigest())


def _teaches(example: Example) -> bool:
    return example.mask is not None or bool(example.boxes) or example.kind is not None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read; write it with `annotator export dataset`") from error


def _examples(folder: Path, path: Path, content: bytes, split: str, left_out: Counter[str]) -> list[Example]:
    try:
        coco = json.loads(content)
        names = {category["id"]: str(category["name"]) for category in coco["categories"]}
        of_image: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in coco["images"]}
        for annotation in coco["annotations"]:
            of_image[annotation["image_id"]].append(annotation | {"name": names[annotation["category_id"]]})
        usable = [image for image in coco["images"] if _is_correction(image, left_out)]
        return [_example(folder, image, of_image[image["id"]], split, left_out) for image in usable]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a COCO file of ours ({error!r}); export the data set anew") from error


def _is_correction(image: Mapping[str, Any], left_out: Counter[str]) -> bool:
    attributes = image.get("attributes") or {}
    if "prediction" in attributes:
        left_out["a model's answer that nobody corrected"] += 1
    elif attributes.get("correction", {}).get("skipped"):
        left_out["skipped by its reader"] += 1
    else:
        return True
    return False


def _example(
    folder: Path,
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    split: str,
    left_out: Counter[str],
) -> Example:
    attributes = image.get("attributes") or {}
    pixels = _pixels(folder / image["file_name"], (image["width"], image["height"]))
    mask, boxes = None, {}
    for annotation in annotations:
        name = annotation["name"]
        if name == HEAD:
            outline = _outline(folder / image["file_name"], annotation, (image["width"], image["height"]))
            mask = outline if mask is None or outline is None else mask | outline
            if outline is None:
                left_out["head without an outline"] += 1
        elif name in STRUCTURES:
            x, y, width, height = annotation["bbox"]
            boxes[name] = np.array([x, y, x + width, y + height], np.float64)
        else:
            left_out[f"{name}, which the embedded model does not know"] += 1
    subject = attributes.get("subject") or attributes.get("group") or image["file_name"]
    return Example(
        name=image["file_name"],
        source=attributes.get("source") or "",
        split=split,
        subject=f"{attributes.get('source') or ''}/{subject}",
        pixels=pixels,
        mask=mask,
        boxes=boxes,
        plane=attributes.get("plane"),
        view=_view(attributes.get("plane"), mask, boxes),
    )


def _view(plane: str | None, mask: Gray | None, boxes: Mapping[str, Any]) -> str | None:
    """The kind of frame by its plane, else by what was found in it; None where neither tells."""
    if plane == FIRST_TRIMESTER_PLANE or (plane is None and boxes):
        return "first_trimester"
    if plane in BRAIN_PLANES or (plane is None and mask is not None):
        return "brain"
    return None if plane is None or plane in _NOT_VIEWS or mask is not None or boxes else "other"


def _pixels(path: Path, size_wh: tuple[int, int]) -> Gray:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if pixels is None:
        raise InputError(f"{path} is missing or no image; export the data set anew")
    if pixels.shape != size_wh[::-1]:
        height, width = pixels.shape
        raise InputError(f"{path} has {width} x {height} pixels, but {size_wh[0]} x {size_wh[1]} in its COCO file")
    return np.asarray(pixels, np.uint8)


def _outline(path: Path, annotation: Mapping[str, Any], size_wh: tuple[int, int]) -> Gray | None:
    """The mask (H, W) of 0 and 1, from polygons, RLE or the ellipse; None where there is only a box."""
    segmentation, ellipse = annotation.get("segmentation"), annotation["attributes"].get("ellipse")
    try:
        if isinstance(segmentation, dict):
            rle = MaskRle(size_hw=segmentation["size"], counts=segmentation["counts"])
            if rle.size_hw != size_wh[::-1]:
                raise InputError(f"the mask on {path} has another size than the image; export the data set anew")
            mask = rle_to_mask(rle)
        elif segmentation:
            mask = polygons_to_mask([np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation], size_wh)
        elif ellipse:
            mask = ellipse_to_mask(Ellipse(**ellipse), size_wh)
        else:
            return None
    except ValueError as error:  # pydantic and pycocotools both raise it
        raise InputError(f"the outline on {path} cannot be read; export the data set anew") from error
    return mask.astype(np.uint8) if mask.any() else None

"""Data sets of corrections as `annotator export dataset` lays them out, from examples."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.taxonomy import STRUCTURES
from backends.training.data import Example

COCO_IDS = {item.name: item.coco_id for item in STRUCTURES}


def write_data_set(folder: Path, train: Sequence[Example], val: Sequence[Example] = ()) -> Path:
    """Both splits with their images; returns `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for split, examples in (("train", train), ("val", val)):
        images, annotations = [], []
        for number, example in enumerate(examples, start=1):
            name = f"images/{split}-{number}.png"
            cv2.imwrite(str(folder / name), example.pixels)
            images.append(_image(number, name, example))
            annotations += _annotations(number, example)
        write_coco(folder / f"annotations_{split}.json", images, annotations)
    return folder


def write_coco(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    """A COCO file with the categories of the taxonomy."""
    categories = [{"id": number, "name": name} for name, number in COCO_IDS.items()]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def _image(number: int, name: str, example: Example) -> dict[str, Any]:
    height, width = example.pixels.shape
    attributes = {"subject": example.subject, "source": example.source, "plane": example.plane}
    attributes["correction"] = {"reader": "anna", "skipped": False}
    return {"id": number, "file_name": name, "width": width, "height": height, "attributes": attributes}


def _annotations(image_id: int, example: Example) -> list[dict[str, Any]]:
    found = [_annotation(image_id, name, box.tolist(), []) for name, box in example.boxes.items()]
    if example.mask is not None:
        rle = mask_to_rle(example.mask)
        segmentation = {"size": list(rle.size_hw), "counts": rle.counts}
        found.append(_annotation(image_id, "Brain", rle_to_box_xyxy(rle), segmentation))
    return found


def _annotation(image_id: int, name: str, box: Sequence[float], segmentation: Any) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = box
    bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
    return {
        "id": image_id * 100 + COCO_IDS[name],
        "image_id": image_id,
        "category_id": COCO_IDS[name],
        "bbox": bbox,
        "segmentation": segmentation,
        "attributes": {"origin": "manual"},
    }

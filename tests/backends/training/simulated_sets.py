"""Small labelled sets on disk: bright ellipses on speckle, as a COCO folder."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def write_set(
    folder: Path, *, frames: int = 40, masks: bool = True, twins: int = 1, test_every: int = 4, **of_images: Any
) -> Path:
    """Write `frames` images, every `test_every`th of split val; `twins` frames share a subject."""
    draw = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for row in range(frames):
        centre, radii = draw.uniform((50, 35), (78, 53)), draw.uniform((20, 14), (30, 20))
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = centre + radii * np.stack((np.cos(angles), np.sin(angles)), axis=1)
        pixels = draw.integers(0, 80, (88, 128)).astype(np.uint8)
        cv2.fillPoly(pixels, [np.round(ring).astype(np.int32)], 170)
        name, unit = f"images/{row:03}.png", row // twins
        cv2.imwrite(str(folder / name), pixels)
        split = "val" if unit % test_every == 0 else "train"
        known = {"subject_id": f"s{unit}", "split": split, "pixel_size_mm": 0.1 + 0.01 * (row % 9)}
        images.append({"id": row + 1, "file_name": name, "width": 128, "height": 88, **known, **of_images})
        low, high = ring.min(axis=0), ring.max(axis=0)
        shape = {"bbox": [*low, *(high - low)], "segmentation": [ring.ravel().tolist()] if masks else []}
        annotations.append({"id": row + 1, "image_id": row + 1, "category_id": 1, "iscrowd": 0, **shape})
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "Brain"}]}
    (folder / "annotations.json").write_text(json.dumps(coco))
    return folder

"""pycocotools as anyone would call it, and random boxes to call it on."""

import contextlib
import io

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from exports.metrics.box_matching import Boxes


def coco_of(boxes: Boxes, frames: int, categories: int) -> COCO:
    coco = COCO()
    rows = zip(boxes.frame, boxes.category, boxes.xywh, boxes.score, strict=True)
    coco.dataset = {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, frames + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(1, categories + 1)],
        "annotations": [
            {
                "id": number,
                "image_id": int(frame) + 1,
                "category_id": int(category) + 1,
                "bbox": xywh.tolist(),
                "area": float(xywh[2] * xywh[3]),
                "iscrowd": 0,
                "score": float(score),
            }
            for number, (frame, category, xywh, score) in enumerate(rows, 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def judged(truth: Boxes, found: Boxes, frames: int, categories: int) -> tuple[NDArray[np.float64], list[float]]:
    """(10, 101, categories) precision at all areas and 100 detections; and AP, AP50, AP75 of the summary."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(coco_of(truth, frames, categories), coco_of(found, frames, categories), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.eval["precision"][:, :, :, 0, -1], list(judge.stats[:3])


def boxes(*rows: tuple[float, ...]) -> Boxes:
    """Rows of frame, category, x, y, width, height and, for a detection, its score."""
    table = np.array([(*row, 0.0)[:7] for row in rows], np.float64).reshape(-1, 7)
    return Boxes(table[:, 0].astype(np.intp), table[:, 1].astype(np.intp), table[:, 2:6], table[:, 6])


def some_boxes(random: np.random.Generator, count: int, frames: int, categories: int) -> Boxes:
    xywh = np.concatenate([random.uniform(0, 300, (count, 2)), random.uniform(5, 120, (count, 2))], axis=1)
    return Boxes(
        random.integers(0, frames, count), random.integers(0, categories, count), xywh, random.random(count)
    )


def near(random: np.random.Generator, truth: Boxes, error: float = 5.0) -> Boxes:
    """What a fair detector finds: most truths, moved a little, and some more."""
    moved = truth.chosen(random.random(len(truth)) < 0.8)
    xywh = moved.xywh + random.normal(0, error, (len(moved), 4))
    xywh[:, 2:] = np.maximum(xywh[:, 2:], 0.5)
    more = some_boxes(random, len(truth) // 3, truth.frame.max(initial=0) + 1, truth.category.max(initial=0) + 1)
    order = random.permutation(len(moved) + len(more))
    return Boxes(
        np.concatenate([moved.frame, more.frame]),
        np.concatenate([moved.category, more.category]),
        np.concatenate([xywh, more.xywh]),
        random.random(len(order)),
    ).chosen(order)


def hostile(random: np.random.Generator, count: int, frames: int, categories: int) -> Boxes:
    """Few whole coordinates and few scores: equal boxes, equal IoUs, IoUs of exactly .5, empty boxes, ties."""
    xywh = random.integers(0, 5, (count, 4)).astype(np.float64)
    score = random.integers(0, 3, count) / 2
    return Boxes(random.integers(0, frames, count), random.integers(0, categories, count), xywh, score)

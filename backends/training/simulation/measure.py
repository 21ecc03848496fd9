"""How good a simulated round is on the frozen test frames: Dice, or AP at IoU .50 by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator.geometry import dice
from backends.training.simulation.data import Sample

Floats = NDArray[np.float64]


class Score(NamedTuple):
    """The measure over all test frames, and the mean over their strata, each counting the same."""

    value: float
    balanced: float


def mean_dice(masks: NDArray[np.bool_], samples: Sequence[Sample]) -> Score:
    """Mean Dice over frames of (n, C, H, W) masks, structures of a frame first."""
    per_frame = np.array(
        [
            np.mean([dice(*pair) for pair in zip(found, sample.masks, strict=True)])
            for found, sample in zip(masks, samples, strict=True)
        ]
    )
    strata = _rows_by_stratum(samples)
    return Score(float(per_frame.mean()), float(np.mean([per_frame[rows].mean() for rows in strata])))


def average_precision_50(scores: Floats, boxes: Floats, samples: Sequence[Sample]) -> Score:
    """Mean AP at IoU .50 over structures that are marked, of (n, C) scores and (n, C, 4) boxes on the grid."""
    per_stratum = [
        _ap50(scores[rows], boxes[rows], [samples[row] for row in rows]) for rows in _rows_by_stratum(samples)
    ]
    return Score(_ap50(scores, boxes, samples), float(np.mean(per_stratum)))


def _rows_by_stratum(samples: Sequence[Sample]) -> list[list[int]]:
    rows: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        rows.setdefault(sample.stratum, []).append(row)
    return list(rows.values())


def _ap50(scores: Floats, boxes: Floats, samples: Sequence[Sample]) -> float:
    truths: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for row, sample in enumerate(samples):
        for category in range(scores.shape[1]):
            key = {"image_id": row + 1, "category_id": category + 1}
            if not np.isnan(sample.boxes[category, 0]):
                truths.append({**key, **_shape(sample.boxes[category]), "id": len(truths) + 1, "iscrowd": 0})
            found.append({**key, **_shape(boxes[row, category]), "score": float(scores[row, category])})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints; stdout belongs to the command line
        truth = COCO()
        truth.dataset = {
            "images": [{"id": row + 1} for row in range(len(samples))],
            "categories": [{"id": category + 1} for category in range(scores.shape[1])],
            "annotations": truths,
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(found), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [100]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, :, 0, 0].mean(axis=0)
    marked = precision[precision >= 0]  # -1 where no frame has the structure
    return float(marked.mean()) if marked.size else 0.0


def _shape(box_xyxy: Floats) -> dict[str, Any]:
    x, y, x_max, y_max = box_xyxy.tolist()
    return {"bbox": [x, y, x_max - x, y_max - y], "area": (x_max - x) * (y_max - y)}

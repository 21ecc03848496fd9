"""AP@.50 of boxes, matched by pycocotools; resamples of frames reuse its matches, so an interval costs little."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator import taxonomy
from annotator.schema import Finding


@dataclass(frozen=True)
class Matches:
    """Per structure and frame: scores and hits of the detections, and how many truths there were."""

    frames: int
    per_structure: dict[str, list[tuple[NDArray[np.float64], NDArray[np.bool_], int]]]

    def ap50(self, structure: str, chosen: NDArray[np.intp] | None = None) -> float:
        """Average precision over 101 recall points on all frames or on `chosen` ones; NaN without a truth.

        The same steps as COCOeval.accumulate: detections in order of score (stable), precision made monotone.
        """
        rows = self.per_structure[structure]
        picked = rows if chosen is None else [rows[place] for place in chosen]
        truths = sum(row[2] for row in picked)
        if truths == 0:
            return float("nan")
        scores = np.concatenate([row[0] for row in picked])
        hits = np.concatenate([row[1] for row in picked])[np.argsort(-scores, kind="mergesort")]
        true_positives = np.cumsum(hits).astype(np.float64)
        recall = true_positives / truths
        precision = true_positives / (np.arange(hits.size) + 1 + np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, np.linspace(0.0, 1.0, 101), side="left")
        reached = places < recall.size
        return (
            float(np.where(reached, precision[np.minimum(places, recall.size - 1)], 0.0).mean())
            if hits.size
            else 0.0
        )


def ap50_by_structure(
    truths: Sequence[Sequence[Finding]], predicted: Sequence[Sequence[Finding]], structures: Sequence[str]
) -> Matches:
    """Match predicted boxes with true ones at IoU .50, frame by frame; a finding without a score counts as 0.0."""
    ordered = sorted(set(structures), key=lambda name: taxonomy.structure(name).coco_id)  # as pycocotools does
    evaluation = _run_pycocotools(truths, predicted, [taxonomy.structure(name).coco_id for name in ordered])
    frames = len(truths)
    per_structure = {}
    for place, name in enumerate(ordered):
        rows = evaluation.evalImgs[place * frames : (place + 1) * frames]
        per_structure[name] = [_row(row) for row in rows]
    return Matches(frames, per_structure)


def _row(row: dict[str, Any] | None) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    if row is None:
        return np.zeros(0), np.zeros(0, bool), 0
    return np.array(row["dtScores"], np.float64), np.asarray(row["dtMatches"][0]) > 0, len(row["gtIds"])


def _run_pycocotools(
    truths: Sequence[Sequence[Finding]], predicted: Sequence[Sequence[Finding]], category_ids: Sequence[int]
) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(_as_coco(truths), _as_coco(predicted), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
        judge.params.catIds = list(category_ids)
        judge.evaluate()
    return judge


def _as_coco(said: Sequence[Sequence[Finding]]) -> COCO:
    coco = COCO()
    annotations = [
        {
            "image_id": image_id,
            "category_id": taxonomy.structure(item.structure).coco_id,
            "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
            "area": (x_max - x_min) * (y_max - y_min),
            "iscrowd": 0,
            "score": item.score if item.score is not None else 0.0,
        }
        for image_id, items in enumerate(said, 1)
        for item in items
        for x_min, y_min, x_max, y_max in [item.box_xyxy]
    ]
    coco.dataset = {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, len(said) + 1)],
        "categories": [{"id": item.coco_id, "name": item.name} for item in taxonomy.STRUCTURES],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, 1)],
    }
    coco.createIndex()
    return coco

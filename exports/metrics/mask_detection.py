"""Average precision of masks: matched by pycocotools, so that masks overlap as COCO says."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator.geometry import rle_area, rle_as_coco, rle_to_box_xyxy
from annotator.schema import Finding
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case, in_taxonomy_order, masked
from exports.metrics.fada_detection import mean_of_categories
from exports.metrics.ranking import Ranked, Weights, mean_precision, precision_table, weighted_precisions
from exports.text.resampling import Figure

AT_50, AT_75 = 0, 5


def mask_precision_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """mask_map (ten thresholds), mask_map50, mask_map75 over the structures that the reference outlines."""
    judged = [case for case in cases if masked(case, case.truth.findings)]
    if not judged:
        return {}
    draws, ranked = Bootstrap.of(judged, seed), rank_masks(judged)
    table = precision_table(ranked)

    def statistic(weights: Weights) -> Any:
        return mean_of_categories([weighted_precisions(one, weights) for one in ranked])

    drawn, there = draws.drawn(statistic), np.ones(len(judged), bool)
    parts = {
        "mask_map": (table, drawn.mean(axis=1)),
        "mask_map50": (table[[AT_50]], drawn[:, AT_50]),
        "mask_map75": (table[[AT_75]], drawn[:, AT_75]),
    }
    return {name: draws.figure(mean_precision(part), column, there) for name, (part, column) in parts.items()}


def rank_masks(cases: Sequence[Case]) -> list[Ranked]:
    """Ranked detections of each structure that the reference outlines, in taxonomy order."""
    truths = [[one for items in masked(case, case.truth.findings).values() for one in items] for case in cases]
    said = [[one for items in masked(case, case.said).values() for one in items] for case in cases]
    numbers = {name: place for place, name in enumerate(in_taxonomy_order(_names(truths)), 1)}
    images = [
        {"id": image_id, "height": case.frame.height, "width": case.frame.width}
        for image_id, case in enumerate(cases, 1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        judge = COCOeval(_as_coco(images, truths, numbers), _as_coco(images, said, numbers), "segm")
        judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
        judge.evaluate()
    frames = len(cases)
    return [_ranked(judge.evalImgs[place * frames : (place + 1) * frames]) for place in range(len(numbers))]


def _names(frames: Sequence[Sequence[Finding]]) -> list[str]:
    return [item.structure for items in frames for item in items]


def _ranked(rows: Sequence[dict[str, Any] | None]) -> Ranked:
    there = [(frame, row) for frame, row in enumerate(rows) if row is not None]
    frame = np.concatenate([np.full(len(row["dtScores"]), place, np.intp) for place, row in there])
    score = np.concatenate([np.array(row["dtScores"], np.float64) for _, row in there])
    hits = np.concatenate([np.asarray(row["dtMatches"]).reshape(10, -1) > 0 for _, row in there], axis=1)
    order = np.argsort(-score, kind="stable")
    truths = np.array([len(row["gtIds"]) if row else 0 for row in rows], np.intp)
    return Ranked(frame[order], score[order], hits[:, order], truths)


def _as_coco(
    images: Sequence[dict[str, int]], frames: Sequence[Sequence[Finding]], numbers: dict[str, int]
) -> COCO:
    annotations = [
        {
            "image_id": image_id,
            "category_id": numbers[item.structure],
            "segmentation": rle_as_coco(item.mask_rle),
            "area": rle_area(item.mask_rle),
            "bbox": list(rle_to_box_xyxy(item.mask_rle)),
            "iscrowd": 0,
            "score": item.score if item.score is not None else 0.0,
        }
        for image_id, items in enumerate(frames, 1)
        for item in items
        if item.mask_rle is not None and item.structure in numbers
    ]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": list(images),
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
    }
    coco.createIndex()
    return coco

"""Average precision of boxes: this tool's arrays against pycocotools and faster-coco-eval, all in one run.

python benchmarks/average_precision.py [--images 5000] [--repeats 3]

By processor time, best of the repeats, from boxes that are loaded to the precision table; reading is no part of it.
The scope is all areas, 100 detections, ten thresholds, no crowd; `full` is pycocotools' own default (four areas,
three numbers of detections). With `records`, this tool starts from Finding records. The precision must be that of
pycocotools to the last bit, and that of faster-coco-eval to 1e-12, else the run ends with an error.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import faster_coco_eval as faster
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator.schema import Finding
from exports.metrics.box_matching import Boxes, boxes_of, rank_as_coco
from exports.metrics.ranking import precision_table

CATEGORIES, TRUTHS_PER_IMAGE = 4, 3.6
NAMES = ("CSP", "LV", "NT", "nasal_bone")


def made_up(images: int) -> tuple[Boxes, Boxes]:
    """Truths, and what a fair detector finds: most of them, moved a little, and others."""
    random = np.random.default_rng(0)

    def some(count: int) -> Boxes:
        xywh = np.concatenate([random.uniform(0, 500, (count, 2)), random.uniform(20, 200, (count, 2))], axis=1)
        frame, category = random.integers(0, images, count), random.integers(0, CATEGORIES, count)
        return Boxes(frame, category, xywh, random.random(count))

    truth = some(int(images * TRUTHS_PER_IMAGE))
    moved, more = truth.chosen(random.random(len(truth)) < 0.8), some(int(images * 1.35))
    xywh = np.concatenate([moved.xywh + random.normal(0, 6, (len(moved), 4)), more.xywh])
    xywh[:, 2:] = np.maximum(xywh[:, 2:], 1)
    frame = np.concatenate([moved.frame, more.frame])
    category = np.concatenate([moved.category, more.category])
    return truth, Boxes(frame, category, xywh, random.random(len(xywh)))


def as_coco(kind: type, boxes: Boxes, images: int) -> Any:
    """The same boxes as a COCO data set, ids from 1."""
    annotations = [
        {
            "id": number,
            "image_id": int(frame) + 1,
            "category_id": int(category) + 1,
            "bbox": xywh.tolist(),
            "area": float(xywh[2] * xywh[3]),
            "iscrowd": 0,
            "score": float(score),
        }
        for number, (frame, category, xywh, score) in enumerate(
            zip(boxes.frame, boxes.category, boxes.xywh, boxes.score, strict=True), 1
        )
    ]
    coco = kind()
    coco.dataset = {
        "info": {},
        "images": [{"id": number, "width": 800, "height": 800} for number in range(1, images + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(1, CATEGORIES + 1)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def as_findings(boxes: Boxes, images: int) -> list[list[Finding]]:
    """The same boxes as records, in the order of the frames."""
    frames: list[list[Finding]] = [[] for _ in range(images)]
    for frame, category, xywh, score in zip(boxes.frame, boxes.category, boxes.xywh, boxes.score, strict=True):
        x, y, width, height = xywh.tolist()
        box = (x, y, x + width, y + height)
        frames[frame].append(Finding(structure=NAMES[category], box_xyxy=box, score=float(score)))
    return frames


def best(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Processor seconds of the fastest call, and what it returned."""
    seconds, answer = float("inf"), None
    for _ in range(repeats):
        begun = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            answer = call()
        seconds = min(seconds, time.process_time() - begun)
    return seconds, answer


def judge(kind: type, truth: Any, found: Any, *, full: bool, **more: Any) -> np.ndarray:
    """(10, 101, categories) precision by a COCOeval."""
    evaluation = kind(truth, found, "bbox", **more)
    if not full:
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    images, repeats = chosen.images, chosen.repeats
    truth, found = made_up(images)
    ours, table = best(lambda: precision_table(rank_as_coco(truth, found, images, CATEGORIES)), repeats)
    records = as_findings(truth, images), as_findings(found, images)
    from_records, _ = best(
        lambda: precision_table(
            rank_as_coco(boxes_of(records[0], NAMES), boxes_of(records[1], NAMES), images, CATEGORIES)
        ),
        repeats,
    )
    slow = as_coco(COCO, truth, images), as_coco(COCO, found, images)
    quick = as_coco(faster.COCO, truth, images), as_coco(faster.COCO, found, images)
    others = {
        "pycocotools, same scope": lambda: judge(COCOeval, *slow, full=False),
        "pycocotools, full": lambda: judge(COCOeval, *slow, full=True),
        "faster-coco-eval, same scope": lambda: judge(
            faster.COCOeval_faster, *quick, full=False, extra_calc=False, print_function=lambda *_: None
        ),
        "faster-coco-eval, full": lambda: judge(
            faster.COCOeval_faster, *quick, full=True, extra_calc=False, print_function=lambda *_: None
        ),
    }
    print(f"{images:,} images, {len(truth):,} truths, {len(found):,} detections, {CATEGORIES} categories")
    print(f"{'this tool':30} {ours:7.3f} s   from records {from_records:.3f} s   AP {table.mean():.6f}")
    for name, call in others.items():
        seconds, precision = best(call, repeats)
        apart = float(np.abs(precision - table).max())
        if apart > (1e-12 if name.startswith("faster") else 0.0):
            raise SystemExit(f"{name} does not give the same precision: {apart}")
        print(f"{name:30} {seconds:7.3f} s   {seconds / ours:6.1f}x   {f'{apart:.1e} apart' if apart else 'equal'}")


if __name__ == "__main__":
    main()

"""What the shipped model reaches on a split: Dice, average precision by pycocotools, plane and view accuracy."""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator.geometry import dice, rle_to_mask
from annotator.schema import Frame, LoadedFrame, Prediction
from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE
from backends.embedded import HEAD, EmbeddedBackend
from backends.training.data import Example

NT_NASAL = ("NT", "nasal_bone", "nasal_skin", "nasal_tip")
_RESAMPLES = 200
Answer = tuple[Example, Prediction]


def measure(backend: EmbeddedBackend, examples: Sequence[Example]) -> dict[str, Any]:
    """Figures over frames, each with `n` and a 95 % interval from resampling subjects where it has one."""
    started = time.perf_counter()
    answers = [(example, backend.predict([as_frame(example)])[0]) for example in examples]
    seconds = time.perf_counter() - started
    heads = [(example, _head_dice(*answer)) for answer in answers if (example := answer[0]).mask is not None]
    planes = [(e, float(p.plane == e.plane)) for e, p in answers if e.plane in BRAIN_PLANES]
    views = [(e, float(_is_right_view(e, p))) for e, p in answers if e.kind in ("brain", "first_trimester")]
    return {
        "head_dice": mean_figure(heads),
        "brain_plane_accuracy": mean_figure(planes),
        "brain_or_first_trimester_accuracy": mean_figure(views),
        "ap50": average_precision([answer for answer in answers if answer[0].boxes], backend.structures),
        "milliseconds_per_frame": round(1000 * seconds / max(len(answers), 1), 1),
    }


def as_frame(example: Example) -> LoadedFrame:
    """An example as the tool would hand it to a backend."""
    height, width = example.pixels.shape
    frame_id = hashlib.blake2b(example.pixels.tobytes(), digest_size=16).hexdigest()
    frame = Frame(frame_id=frame_id, width=width, height=height, source_file=example.name)
    return LoadedFrame(frame, example.pixels)


def average_precision(answers: Sequence[Answer], structures: Sequence[str]) -> dict[str, Any]:
    """AP at IoU .50 per structure, and its means; `n` counts boxes for a structure, frames for the means."""
    if not answers:
        return {}
    judge = _judge(answers, structures)
    subjects = [example.subject for example, _ in answers]
    every = np.arange(len(answers))
    nasal = [structures.index(name) for name in NT_NASAL]
    samples = [_ap50(judge, chosen)[nasal].mean() for chosen in _resampled(subjects)]
    per_structure = _ap50(judge, every)
    counts = {name: sum(name in example.boxes for example, _ in answers) for name in structures}
    return {
        "mean_nt_nasal": _figure(float(per_structure[nasal].mean()), len(answers), samples),
        "mean_all": _figure(float(per_structure.mean()), len(answers), []),
        **{name: _figure(float(ap), counts[name], []) for name, ap in zip(structures, per_structure, strict=True)},
    }


def _judge(answers: Sequence[Answer], structures: Sequence[str]) -> COCOeval:
    """A COCOeval that has matched everything once; `_ap50` then accumulates over any choice of frames."""
    ids = {name: number for number, name in enumerate(structures, start=1)}
    truths: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image_id, (example, prediction) in enumerate(answers, start=1):
        for name, box in example.boxes.items():
            wh = box[2:] - box[:2]
            shape = {"bbox": [*box[:2], *wh], "area": float(wh.prod()), "iscrowd": 0}
            truths.append({"id": len(truths) + 1, "image_id": image_id, "category_id": ids[name], **shape})
        for finding in (one for one in prediction.findings if one.structure in ids):
            x, y, x_max, y_max = finding.box_xyxy
            shape = {"bbox": [x, y, x_max - x, y_max - y], "score": finding.score}
            found.append({"image_id": image_id, "category_id": ids[finding.structure], **shape})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints; stdout belongs to the command line
        truth = _coco(truths, len(answers), ids)
        judge = COCOeval(truth, truth.loadRes(found) if found else _coco([], len(answers), ids), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [100]
        judge.evaluate()
    judge.matched = np.array(judge.evalImgs, dtype=object).reshape(len(structures), len(answers))
    return judge


def _coco(annotations: list[dict[str, Any]], images: int, ids: dict[str, int]) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    coco.createIndex()
    return coco


def _ap50(judge: COCOeval, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """(structures,) AP over the chosen frames, which may repeat; 0 where a structure is never marked."""
    judge.evalImgs = judge.matched[:, chosen].ravel().tolist()
    judge.params.imgIds = judge._paramsEval.imgIds = list(range(len(chosen)))
    with contextlib.redirect_stdout(io.StringIO()):
        judge.accumulate()
    precision = judge.eval["precision"][0, :, :, 0, 0]
    return np.clip(np.asarray(precision.mean(axis=0), np.float64), 0, None)


def _head_dice(example: Example, prediction: Prediction) -> float:
    heads = [finding.mask_rle for finding in prediction.findings if finding.structure == HEAD]
    if example.mask is None or not heads or heads[0] is None:
        return 0.0
    return dice(rle_to_mask(heads[0]), example.mask)


def _is_right_view(example: Example, prediction: Prediction) -> bool:
    if example.kind == "first_trimester":
        return prediction.plane == FIRST_TRIMESTER_PLANE
    return prediction.plane in BRAIN_PLANES


def mean_figure(pairs: Sequence[tuple[Example, float]]) -> dict[str, Any]:
    """Mean over frames, n, and the 95 % interval from resampling subjects."""
    values = np.array([value for _, value in pairs])
    if values.size == 0:
        return {"n": 0}
    samples = [float(values[chosen].mean()) for chosen in _resampled([example.subject for example, _ in pairs])]
    return _figure(float(values.mean()), len(values), samples)


def _resampled(subjects: Sequence[str]) -> list[NDArray[np.int64]]:
    """Row numbers of samples of subjects, drawn with replacement from a fixed seed."""
    rng = np.random.default_rng(0)
    names, owner = np.unique(np.array(subjects), return_inverse=True)
    rows = [np.flatnonzero(owner == number) for number in range(len(names))]
    return [np.concatenate([rows[i] for i in rng.integers(len(names), size=len(names))]) for _ in range(_RESAMPLES)]


def _figure(value: float, n: int, samples: Sequence[float]) -> dict[str, Any]:
    figure: dict[str, Any] = {"value": round(value, 4), "n": n}
    if samples:
        low, high = np.percentile(samples, (2.5, 97.5))
        figure["interval_95"] = [round(float(low), 4), round(float(high), 4)]
    return figure

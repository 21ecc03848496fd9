"""Made-up runs: a reference on many frames, and a model that is as good as it is told to be."""

import json
from collections.abc import Sequence

import numpy as np

from annotator.geometry import ellipse_to_mask
from annotator.schema import Ellipse, Finding, Frame, Interpretation, Keypoint, Prediction
from annotator.taxonomy import BRAIN_PLANES
from exports.metrics.cases import Case
from tests.builders import a_correction, a_finding, a_frame, a_masked_finding

SIZE_WH = (64, 48)
BOXED = ("CSP", "LV", "NT")
INTERPRETATION = json.dumps(dict.fromkeys(Interpretation.model_fields, "seen"))


def frames_of(count: int, subjects: int = 8, spacing: bool = True) -> list[Frame]:
    return [
        a_frame(seed, f"{seed}.png", SIZE_WH, subject=f"s{seed % subjects}",
                pixel_spacing_mm=(0.5, 0.25) if spacing else None)
        for seed in range(count)
    ]  # fmt: skip


def head(random: np.random.Generator, centre: Sequence[float] = (32, 24), score: float | None = None) -> Finding:
    cx, cy = np.array(centre) + random.normal(0, 1, 2)
    ellipse = Ellipse(cx=cx, cy=cy, rx=float(random.uniform(14, 20)), ry=float(random.uniform(10, 14)))
    return a_masked_finding(ellipse_to_mask(ellipse, SIZE_WH), score=score)


def calipers(x: float = 20.0, y: float = 20.0, length: float = 12.0, score: float | None = None) -> Finding:
    points = (Keypoint(name="crown", x=x, y=y), Keypoint(name="rump", x=x + length, y=y + length / 2))
    return a_finding("CRL_KP", (x, y, x + length, y + length / 2), keypoints=points, score=score)


def reference(frame: Frame, random: np.random.Generator) -> Case:
    boxes = []
    for name in BOXED:
        x, y = random.uniform(2, 40), random.uniform(2, 30)
        boxes.append(a_finding(name, (x, y, x + random.uniform(6, 16), y + random.uniform(6, 14))))
    findings = (head(random), *boxes, calipers(float(random.uniform(5, 40)), float(random.uniform(5, 30))))
    plane = BRAIN_PLANES[random.integers(3)]
    return Case(frame, a_correction(frame, is_truth=True, findings=findings, plane=plane), None)


def answered(case: Case, random: np.random.Generator, *, error: float, constant: bool = False) -> Case:
    """What a model says: each finding moved by about `error` pixels, some left out, some invented."""
    found = []
    for item in case.truth.findings:
        score = 1.0 if constant else float(random.random())
        if random.random() < 0.1:
            continue
        if item.mask_rle is not None:
            found.append(head(random, np.array((32, 24)) + random.normal(0, error, 2), score))
        elif item.keypoints:
            point = item.keypoints[0]
            found.append(calipers(point.x + error, point.y - error, 12.0, score))
        else:
            box = np.array(item.box_xyxy) + random.normal(0, error, 4)
            box[2:] = np.maximum(box[:2], box[2:])
            found.append(a_finding(item.structure, box.tolist(), score=score))
    if random.random() < 0.3:
        found.append(a_finding("thalami", (5, 5, 15, 15), score=1.0 if constant else 0.1))
    right = random.random() < 1 / (1 + error / 4)
    said = Prediction(
        frame_id=case.frame.frame_id,
        model_version="made-up-1",
        findings=tuple(found),
        plane=case.truth.plane if right else BRAIN_PLANES[random.integers(3)],
        raw_texts={"interpret": INTERPRETATION, "classify": '{"label": "Abdomen"}' if right else "label: Abdomen"},
        seconds={"interpret": float(random.uniform(1, 2)), "classify": 0.25},
    )
    return Case(case.frame, case.truth, said)


def a_run(
    count: int = 24, *, error: float = 1.0, seed: int = 0, constant: bool = False, spacing: bool = True
) -> list[Case]:
    """The reference depends on `count` alone, so that runs of other `error` or `seed` are of the same frames."""
    known = np.random.default_rng(99)
    references = [reference(frame, known) for frame in frames_of(count, spacing=spacing)]
    random = np.random.default_rng(seed)
    return [answered(case, random, error=error, constant=constant) for case in references]

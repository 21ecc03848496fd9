"""Fits the constants of embedded_scores on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import box_iou, dice, ellipse_to_mask
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded.framing import Gray
from backends.embedded.head import HeadOutline
from backends.embedded.model import EmbeddedModel, HeadReading
from backends.embedded.scores import logit, softmax
from backends.training.data import VIEWS, Example
from backends.training.head_task import UNKNOWN_VIEW, view_number
from backends.training.negatives import make_negative
from backends.training.plane_ensemble import LeftOut

GOOD_DICE = 0.95
GOOD_IOU = 0.5
LEAST_HEAD_SCORE = 0.05
LEAST_BOX_SCORE = 0.05
_MADE_NEGATIVES = 60
Logits = NDArray[np.floating[Any]]
Read = tuple[Example, HeadReading]


def calibrate(
    model: EmbeddedModel, validation: Sequence[Example], left_out: Sequence[LeftOut], seed: int
) -> dict[str, Any]:
    """Return the `calibration` part of model.json, from frames that the networks were not trained on.

    The planes of the validation split are few, so the training frames that a member left out count too.
    """
    rng = np.random.default_rng(seed)
    size_wh = tuple(model.settings["head"]["size_wh"])
    made = [model.read_head(make_negative(validation, rng, size_wh)) for _ in range(_MADE_NEGATIVES)]
    read = [(example, model.read_head(example.pixels)) for example in validation]
    agreements, are_good = _head_evidence(read, made)
    views = [(reading.view_logits, view_number(example)) for example, reading in read]
    views = [(logits, view) for logits, view in views if view != UNKNOWN_VIEW]
    views += [(reading.view_logits, VIEWS.index("other")) for reading in made]
    planes = [*_plane_evidence(model, read), *((logits, head.plane) for head, logits in left_out)]
    return {
        "head": platt(agreements, are_good),
        "boxes": _calibrate_boxes(model, validation),
        # Hardly a view is wrong here, which must not make the tool surer than the network is.
        "view_temperature": temperature(views, least=1.0),
        "plane_temperature": temperature(planes),
        "least_head_score": LEAST_HEAD_SCORE,
        "least_box_score": LEAST_BOX_SCORE,
    }


def platt(values: Sequence[float], hits: Sequence[bool], strength: float = 0.05) -> tuple[float, float]:
    """Slope and offset that turn values into log odds of a hit; `strength` pulls the slope towards 1.

    Targets are softened as Platt (1999) does, so that a class with only hits stays below 1. Newton's method.
    """
    x, y = np.asarray(values, np.float64), np.asarray(hits, np.float64)
    if x.size == 0:
        return (1.0, 0.0)
    hits_count = y.sum()
    target = np.where(y > 0, (hits_count + 1) / (hits_count + 2), 1 / (len(y) - hits_count + 2))
    design = np.stack((x, np.ones_like(x)), axis=1)
    prior, pull = np.array([1.0, 0.0]), np.array([strength * len(x), 1e-3])
    weights = prior.copy()
    for _ in range(50):
        chance = 0.5 * (1 + np.tanh(0.5 * design @ weights))
        slope = design.T @ (chance - target) + pull * (weights - prior)
        curve = design.T @ (design * (chance * (1 - chance))[:, None]) + np.diag(pull)
        weights = weights - np.clip(np.linalg.solve(curve, slope), -2, 2)
    return (float(weights[0]), float(weights[1]))


def temperature(pairs: Sequence[tuple[Logits, int]], least: float = 0.5) -> float:
    """The temperature in `least`..5 under which the right classes are likeliest."""
    if not pairs:
        return 1.0
    steps = np.geomspace(least, 5.0, 60)
    costs = [-sum(np.log(softmax(logits / step)[right] + 1e-12) for logits, right in pairs) for step in steps]
    return float(steps[int(np.argmin(costs))])


def _head_evidence(read: Sequence[Read], made: Sequence[HeadReading]) -> tuple[list[float], list[bool]]:
    """Log odds of the agreement of each outline, and whether it was good: hc18 heads, and made negatives."""
    agreements, are_good = list[float](), list[bool]()
    outlines: list[tuple[Gray | None, HeadOutline | None]]
    outlines = [(example.mask, reading.outline) for example, reading in read if example.mask is not None]
    outlines += [(None, reading.outline) for reading in made]
    for mask, outline in outlines:
        if outline is not None:
            agreements.append(logit(outline.agreement))
            are_good.append(mask is not None and _overlap(outline, mask) >= GOOD_DICE)
    return agreements, are_good


def _overlap(outline: HeadOutline, mask: Gray) -> float:
    return dice(ellipse_to_mask(outline.ellipse, (mask.shape[1], mask.shape[0])), mask)


def _plane_evidence(model: EmbeddedModel, read: Sequence[Read]) -> list[tuple[Logits, int]]:
    evidence = []
    for example, reading in read:
        if example.plane in BRAIN_PLANES:
            ellipse = None if reading.outline is None else reading.outline.ellipse
            evidence.append((model.read_plane(example.pixels, ellipse), BRAIN_PLANES.index(str(example.plane))))
    return evidence


def _calibrate_boxes(model: EmbeddedModel, validation: Sequence[Example]) -> dict[str, tuple[float, float]]:
    seen: dict[str, list[tuple[float, bool]]] = {name: [] for name in model.settings["boxes"]["structures"]}
    for example in validation:
        for reading in model.read_boxes(example.pixels) if example.boxes else ():
            truth = example.boxes.get(reading.structure)
            hit = truth is not None and box_iou(reading.box_xyxy, tuple(truth.tolist())) >= GOOD_IOU
            seen[reading.structure].append((reading.heat, hit))
    return {name: platt([heat for heat, _ in pairs], [hit for _, hit in pairs]) for name, pairs in seen.items()}

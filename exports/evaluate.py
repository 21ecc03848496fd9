"""Predictions against a reference, by independent judges, each figure with n and a 95% interval by subject."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator import taxonomy
from annotator.geometry import dice, rle_to_mask
from annotator.schema import Correction, Finding, Frame, Prediction
from exports.average_precision import ap50_by_structure

RESAMPLES = 1000
NT_NASAL = ("NT", "nasal_bone", "nasal_skin", "nasal_tip")


@dataclass(frozen=True)
class Case:
    """One frame with its reference and what the model said; None where the model failed on it."""

    frame: Frame
    truth: Correction
    prediction: Prediction | None

    @property
    def unit(self) -> str:
        """What is resampled: the subject, else the group of near-duplicates, else the frame."""
        return self.frame.subject or self.frame.group or self.frame.frame_id


Figure = dict[str, Any]


def evaluate_cases(cases: Sequence[Case], *, seed: int = 0) -> Figure:
    """Return head Dice, AP@.50, plane accuracies and seconds per frame; a figure without cases is left out."""
    figures: Figure = {"cases": len(cases), "failed": sum(case.prediction is None for case in cases)}
    heads = [case for case in cases if _masks(case.truth.findings)]
    boxed = [case for case in cases if any(item.mask_rle is None for item in case.truth.findings)]
    planes = [case for case in cases if case.truth.plane in taxonomy.BRAIN_PLANES]
    families = [case for case in cases if _family(case.truth) is not None]
    if heads:
        figures["head_dice"] = _mean_with_interval(heads, _head_dice, seed)
    if boxed:
        figures["boxes"] = _average_precisions(boxed, seed)
    if planes:
        figures["brain_plane_accuracy"] = _mean_with_interval(planes, _plane_is_right, seed)
    if families:
        figures["brain_or_first_trimester_accuracy"] = _mean_with_interval(families, _family_is_right, seed)
    timed = [case for case in cases if case.prediction is not None and case.prediction.seconds]
    if timed:
        figures["seconds_per_frame"] = float(np.mean([_seconds(case) for case in timed]))
    return figures


def _masks(findings: Sequence[Finding], structure: str = "Brain") -> list[Finding]:
    return [item for item in findings if item.structure == structure and item.mask_rle is not None]


def _head_dice(case: Case) -> float:
    """Dice of the unions of `Brain` masks; a head that was not found scores 0."""
    said = _masks(case.prediction.findings) if case.prediction else []
    union_true, union_said = (_union(case.frame, items) for items in (_masks(case.truth.findings), said))
    return dice(union_true, union_said)


def _union(frame: Frame, findings: Sequence[Finding]) -> NDArray[np.bool_]:
    union = np.zeros((frame.height, frame.width), bool)
    for item in findings:
        if item.mask_rle is not None:
            union |= rle_to_mask(item.mask_rle)
    return union


def _plane_is_right(case: Case) -> float:
    return float(case.prediction is not None and case.prediction.plane == case.truth.plane)


def _family(said: Correction | Prediction) -> taxonomy.Family | None:
    """Brain or first trimester, by the plane where it is known, else by the structures that were outlined."""
    if said.plane is not None:
        family = taxonomy.view(said.plane).family
        return family if family in (taxonomy.Family.BRAIN, taxonomy.Family.FIRST_TRIMESTER) else None
    groups = {taxonomy.structure(item.structure).group for item in said.findings}
    if groups & {taxonomy.Group.NT_NASAL, taxonomy.Group.FIRST_TRIMESTER_BRAIN}:
        return taxonomy.Family.FIRST_TRIMESTER
    return taxonomy.Family.BRAIN if taxonomy.Group.BRAIN in groups else None


def _family_is_right(case: Case) -> float:
    return float(case.prediction is not None and _family(case.prediction) == _family(case.truth))


def _seconds(case: Case) -> float:
    assert case.prediction is not None
    return sum(case.prediction.seconds.values())


def _average_precisions(cases: Sequence[Case], seed: int) -> Figure:
    truths = [[item for item in case.truth.findings if item.mask_rle is None] for case in cases]
    predicted = [case.prediction.findings if case.prediction else () for case in cases]
    names = sorted(
        {item.structure for items in truths for item in items}, key=lambda name: taxonomy.structure(name).coco_id
    )
    curves = ap50_by_structure(truths, predicted, names)
    wanted = [name for name in NT_NASAL if name in names]
    figures: Figure = {"per_structure": {}}

    def mean_over(structures: Sequence[str]) -> Callable[[NDArray[np.intp] | None], float]:
        return lambda chosen: float(np.mean([curves.ap50(name, chosen) for name in structures]))

    for name in names:
        count = sum(item.structure == name for items in truths for item in items)
        figures["per_structure"][name] = {"ap50": curves.ap50(name, None), "n": count}
    if wanted:
        figures["mean_ap50_nt_nasal"] = _with_interval(cases, mean_over(wanted), seed)
    figures["mean_ap50"] = _with_interval(cases, mean_over(names), seed)
    return figures


def _mean_with_interval(cases: Sequence[Case], score: Callable[[Case], float], seed: int) -> Figure:
    scores = np.array([score(case) for case in cases])
    return _with_interval(
        cases, lambda chosen: float(scores.mean() if chosen is None else scores[chosen].mean()), seed
    )


def _with_interval(
    cases: Sequence[Case], statistic: Callable[[NDArray[np.intp] | None], float], seed: int
) -> Figure:
    """Add a percentile bootstrap interval, resampling subjects with all their frames."""
    grouped: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        grouped.setdefault(case.unit, []).append(place)
    members = [np.array(places, np.intp) for places in grouped.values()]
    random = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[unit] for unit in random.integers(0, len(members), len(members))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return {
        "value": statistic(None),
        "n": len(cases),
        "subjects": len(members),
        "ci95": [float(low), float(high)],
    }

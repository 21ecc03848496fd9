"""Predictions against a reference, each figure with n and a 95% interval by subject."""

from collections.abc import Sequence

import numpy as np

from annotator import taxonomy
from annotator.schema import Correction, Finding, Prediction
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.box_matching import boxes_of, rank_as_coco
from exports.metrics.cases import Case, checked, in_taxonomy_order, masked
from exports.metrics.classification import classification_figures
from exports.metrics.compliance import compliance_figures
from exports.metrics.detection import detection_figures
from exports.metrics.fada_detection import mean_of_categories
from exports.metrics.keypoints import keypoint_figures
from exports.metrics.mask_detection import mask_precision_figures
from exports.metrics.overlap import overlap
from exports.metrics.ranking import Ranked, Weights, precision_table, weighted_precisions
from exports.metrics.sanity import look_over
from exports.metrics.segmentation import segmentation_figures
from exports.metrics.timing import timing_figures
from exports.text.resampling import Figure

__all__ = ["NT_NASAL", "Case", "evaluate_cases"]

NT_NASAL = ("NT", "nasal_bone", "nasal_skin", "nasal_tip")
_AT_50 = np.array([0.5])


def evaluate_cases(cases: Sequence[Case], *, seed: int = 0) -> Figure:
    """Return all figures; one without cases is left out, never 0. InputError where the cases contradict themselves.

    First what this tool's own model is judged by (`head_dice`, `boxes`, ...), then a block for each kind.
    """
    cases = checked(cases)
    figures: Figure = {"cases": len(cases), "failed": sum(case.prediction is None for case in cases)}
    if not cases:
        return figures
    blocks = {
        "detection": detection_figures(cases, seed),
        "segmentation": segmentation_figures(cases, seed),
        "mask_precision": mask_precision_figures(cases, seed),
        "classification": classification_figures(cases, seed),
        "keypoints": keypoint_figures(cases, seed),
        "json_compliance": compliance_figures(cases, seed),
        "time": timing_figures(cases, seed),
    }
    kept = {name: block for name, block in blocks.items() if block}
    return {**figures, "sanity": look_over(cases).as_dict(), **_own_figures(cases, seed), **kept}


def _own_figures(cases: Sequence[Case], seed: int) -> Figure:
    figures: Figure = {}
    heads = [case for case in cases if "Brain" in masked(case, case.truth.findings)]
    planes = [case for case in cases if case.truth.plane in taxonomy.BRAIN_PLANES]
    families = [case for case in cases if _family(case.truth) is not None]
    if heads:
        figures["head_dice"] = Bootstrap.of(heads, seed).mean([_head_dice(case) for case in heads])
    if boxes := _box_figures(cases, seed):
        figures["boxes"] = boxes
    if planes:
        figures["brain_plane_accuracy"] = Bootstrap.of(planes, seed).mean([_plane_is_right(one) for one in planes])
    if families:
        right = [_family_is_right(case) for case in families]
        figures["brain_or_first_trimester_accuracy"] = Bootstrap.of(families, seed).mean(right)
    seconds = [
        sum(case.prediction.seconds.values()) for case in cases if case.prediction and case.prediction.seconds
    ]
    if seconds:
        figures["seconds_per_frame"] = float(np.mean(seconds))
    return figures


def _head_dice(case: Case) -> float:
    """Dice of the unions of `Brain` masks; a head that was not found scores 0."""
    truths, said = (masked(case, findings).get("Brain", ()) for findings in (case.truth.findings, case.said))
    return overlap(truths, said).dice


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


def _box_figures(cases: Sequence[Case], seed: int) -> Figure:
    """AP@.50 of the structures that the reference gives as boxes without a mask."""

    def boxes_only(case: Case) -> list[Finding]:
        return [item for item in case.truth.findings if item.mask_rle is None]

    judged = [case for case in cases if boxes_only(case)]
    if not judged:
        return {}
    truths = [boxes_only(case) for case in judged]
    names = in_taxonomy_order(item.structure for items in truths for item in items)
    truth, found = boxes_of(truths, names), boxes_of([case.said for case in judged], names)
    ranked = dict(zip(names, rank_as_coco(truth, found, len(judged), len(names), _AT_50), strict=True))
    draws = Bootstrap.of(judged, seed)
    figures: Figure = {
        "per_structure": {
            name: {"ap50": float(precision_table([one]).mean()), "n": int(one.truths.sum())}
            for name, one in ranked.items()
        }
    }
    wanted = [name for name in NT_NASAL if name in names]
    if wanted:
        figures["mean_ap50_nt_nasal"] = _mean_ap50([ranked[name] for name in wanted], draws)
    figures["mean_ap50"] = _mean_ap50(list(ranked.values()), draws)
    return figures


def _mean_ap50(ranked: Sequence[Ranked], draws: Bootstrap) -> Figure:
    def statistic(weights: Weights) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return mean_of_categories([weighted_precisions(one, weights) for one in ranked])[:, 0]

    value = float(np.mean([precision_table([one]).mean() for one in ranked]))
    return draws.figure(value, draws.drawn(statistic), np.ones(len(ranked[0].truths), bool))

"""Boxes against boxes: COCO's average precision, FADA's own beside it, F1 at a stated score, and what ties do."""

from collections.abc import Callable, Sequence

import numpy as np

from exports.metrics.bootstrap import Bootstrap
from exports.metrics.box_run import ORDERS, TIE_RULE, BoxRun, box_run
from exports.metrics.cases import Case
from exports.metrics.fada_detection import mean_of_categories, precisions_of
from exports.metrics.ranking import Floats, Ranked, Weights, mean_precision, precision_table, weighted_precisions
from exports.text.resampling import Figure

AT_50, AT_75 = 0, 5  # places among COCO's thresholds


def detection_figures(cases: Sequence[Case], seed: int = 0, score_threshold: float = 0.0) -> Figure:
    """All figures of boxes; empty without a true box.

    `score_threshold` is for F1 alone: detections that score less are left out; average precision needs them all.
    """
    run = box_run(cases)
    if not run.cases:
        return {}
    draws, ranked = Bootstrap.of(run.cases, seed), run.as_coco()
    per_structure = _coco_per_structure(run, ranked, draws)
    f1: Figure = {"score_threshold": score_threshold}
    for name, place in (("iou_50", AT_50), ("iou_75", AT_75)):
        f1[name] = f1_figure(ranked, draws, place, score_threshold)
    for name, one in zip(run.names, ranked, strict=True):
        per_structure[name]["f1_50"] = f1_figure([one], draws, AT_50, score_threshold)["f1"]
    return {
        "frames": len(run.cases),
        "truths": len(run.truth),
        "detections": len(run.found),
        "ties": {"detections": run.tied, "rule": TIE_RULE, "orders_tried": ORDERS if run.tied else 0},
        "coco": coco_figures(run, draws),
        "fada": fada_figures(run, draws),
        "f1": f1,
        "per_structure": per_structure,
    }


def coco_figures(run: BoxRun, draws: Bootstrap) -> Figure:
    """map (mean of ten thresholds), map50 and map75 over the structures of the reference."""
    drawn = _coco_drawn(run.as_coco(), draws)
    columns = (drawn.mean(axis=1), drawn[:, AT_50], drawn[:, AT_75])
    return _figures(run, draws, ("map", "map50", "map75"), columns, coco_values, run.tied > 0)


def coco_values(run: BoxRun) -> Floats:
    """The same three values, exactly as pycocotools gives them; NaN without a truth."""
    table = precision_table(run.as_coco())
    return np.array([mean_precision(part) for part in (table, table[[AT_50]], table[[AT_75]])], np.float64)


def fada_figures(run: BoxRun, draws: Bootstrap) -> Figure:
    """FADA's own map50, map75 and the mean of these two that its script calls mAP@0.5:0.95."""
    drawn = mean_of_categories([draws.drawn(_fada_statistic(one)) for one in run.as_fada()])
    columns = (drawn[:, 0], drawn[:, 1], drawn.mean(axis=1))
    names = ("fada_map50", "fada_map75", "fada_map50_95")
    return {
        "confidences": "all 1.0, as FADA's script gives them",
        **_figures(run, draws, names, columns, fada_values, len(run.found) > 1),
    }


def fada_values(run: BoxRun) -> Floats:
    """The same three values in the order of the frames."""
    once = np.ones((1, len(run.cases)), np.int64)
    at_50, at_75 = mean_of_categories([_fada_statistic(one)(once) for one in run.as_fada()])[0]
    return np.array([at_50, at_75, (at_50 + at_75) / 2])


def f1_figure(ranked: Sequence[Ranked], draws: Bootstrap, place: int, score_threshold: float) -> Figure:
    """F1, precision and recall of the detections that score enough, counted over all frames and structures."""
    hits, found, truths = counts_per_frame(ranked, place, score_threshold)
    return {
        "f1": draws.ratio(2 * hits, found + truths),
        "precision": draws.ratio(hits, found),
        "recall": draws.ratio(hits, truths),
    }


def counts_per_frame(
    ranked: Sequence[Ranked], place: int, score_threshold: float = 0.0
) -> tuple[Floats, Floats, Floats]:
    """Hits at one threshold, detections that score enough, and truths of each frame, over all structures."""
    frames = len(ranked[0].truths)
    hits, found, truths = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    for one in ranked:
        kept = one.score >= score_threshold
        hits += np.bincount(one.frame[kept & one.hits[place]], minlength=frames)
        found += np.bincount(one.frame[kept], minlength=frames)
        truths += one.truths
    return hits, found, truths


def _fada_statistic(ranked: Ranked) -> Callable[[Weights], Floats]:
    return lambda weights: precisions_of(ranked, weights[:, ranked.frame], weights @ ranked.truths)


def _coco_statistic(ranked: Ranked) -> Callable[[Weights], Floats]:
    return lambda weights: weighted_precisions(ranked, weights)


def _coco_drawn(ranked: Sequence[Ranked], draws: Bootstrap) -> Floats:
    return mean_of_categories([draws.drawn(_coco_statistic(one)) for one in ranked])


def _figures(
    run: BoxRun,
    draws: Bootstrap,
    names: Sequence[str],
    columns: Sequence[Floats],
    measure: Callable[[BoxRun], Floats],
    depends_on_order: bool,
) -> Figure:
    there = np.ones(len(run.cases), bool)
    figures = {
        name: draws.figure(float(value), column, there)
        for name, value, column in zip(names, measure(run), columns, strict=True)
    }
    if depends_on_order:
        for name, column in zip(names, run.over_orders(measure).T, strict=True):
            figures[name]["over_orders"] = {
                "lowest": float(column.min()),
                "mean": float(column.mean()),
                "highest": float(column.max()),
            }
    return figures


def _coco_per_structure(run: BoxRun, ranked: Sequence[Ranked], draws: Bootstrap) -> dict[str, Figure]:
    """Truths, detections, and average precision where the reference holds the structure."""
    figures: dict[str, Figure] = {}
    for name, one in zip(run.names, ranked, strict=True):
        figures[name] = {"truths": int(one.truths.sum()), "detections": len(one.frame)}
        if one.truths.any():
            table, drawn = precision_table([one]), draws.drawn(_coco_statistic(one))
            parts = (("ap", table, drawn.mean(axis=1)), ("ap50", table[[AT_50]], drawn[:, AT_50]))
            for key, part, column in parts:
                figures[name][key] = draws.figure(mean_precision(part), column, one.truths > 0)
    return figures

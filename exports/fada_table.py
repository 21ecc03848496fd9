"""FADA's table for stored runs: its columns for any models side by side, with intervals and paired tests.

Average precision stands there twice, as COCO defines it and as FADA's script does. What the paper published was
measured on other frames: it is kept apart and never enters a mean or a test.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from annotator.errors import InputError
from exports.metrics.bootstrap import Bootstrap, holm
from exports.metrics.box_run import BoxRun, box_run
from exports.metrics.cases import Case, boxed, checked, in_taxonomy_order
from exports.metrics.compliance import Outcome, outcomes_of
from exports.metrics.detection import coco_figures, counts_per_frame, fada_figures
from exports.metrics.fada_detection import THRESHOLDS
from exports.metrics.paired_precision import COCO_RULE, FADA_RULE, paired_differences
from exports.metrics.ranking import Floats
from exports.metrics.sanity import look_over
from exports.metrics.segmentation import OverlapPair, outlined, overlap_pairs, sums_of
from exports.text.resampling import Figure

COLUMNS = {
    "map50": "mAP@.50 (COCO)",
    "map75": "mAP@.75 (COCO)",
    "fada_map50": "mAP@.50 (FADA)",
    "fada_map75": "mAP@.75 (FADA)",
    "f1_50": "F1@.50",
    "dice": "Dice (FADA)",
    "iou": "IoU (FADA)",
    "accuracy": "cls acc",
    "json": "JSON",
}
PUBLISHED_COLUMNS = ("fada_map50", "fada_map75", "dice", "iou", "accuracy")
PUBLISHED = {
    "Base 4B": (0.7798, 0.4211, 0.8813, 0.8133, 0.8225),
    "SKD 4B": (0.7671, 0.4402, 0.8820, 0.8149, 0.8379),
    "FKD 4B": (0.7695, 0.4576, 0.8790, 0.8114, 0.8296),
    "Base 0.8B": (0.6885, 0.3817, 0.8625, 0.7899, 0.8375),
    "SKD 0.8B": (0.6744, 0.3756, 0.8662, 0.7921, 0.8433),
}
PUBLISHED_NOTE = (
    "published by FADA's paper, on its own test set of 4,478 images and by its own definitions, without intervals; "
    "not measured here and in no test"
)
HOLM_NOTE = "p by swapping the two runs in whole subjects; Holm over all tests of the table"


class _Ratio(NamedTuple):
    """Sums of each case, and of how many things the ratio of their totals is a mean."""

    tops: Floats
    bottoms: Floats
    n: int


def fada_table(runs: Mapping[str, Sequence[Case]], *, seed: int = 0) -> dict[str, Any]:
    """Return rows, paired differences of every two rows, and the published figures apart.

    All rows are of the frames that all runs have; a frame on which a run failed counts as nothing found.
    InputError without such a frame, or without a run.
    """
    shared, left_out = _on_the_same_frames(runs)
    cases = next(iter(shared.values()))
    draws = Bootstrap.of(cases, seed)
    boxes = _box_runs(shared)
    ratios = {name: _ratios(run, boxes.get(name)) for name, run in shared.items()}
    rows = {}
    for name, run in shared.items():
        figures = {column: draws.ratio(one.tops, one.bottoms, one.n) for column, one in ratios[name].items()}
        rows[name] = {
            "alarms": look_over(run).alarms(),
            "figures": {**_box_figures(boxes.get(name), seed), **figures},
        }
    differences = [
        one for pair in combinations(shared, 2) for one in _differences(pair, boxes, ratios, draws, seed)
    ]
    for one, adjusted in zip(differences, holm([one["p"] for one in differences]), strict=True):
        one["p_holm"] = adjusted
    published = {name: dict(zip(PUBLISHED_COLUMNS, row, strict=True)) for name, row in PUBLISHED.items()}
    return {
        "frames": len(cases),
        "subjects": len({case.unit for case in cases}),
        "frames_left_out": left_out,
        "columns": {
            key: title for key, title in COLUMNS.items() if any(key in row["figures"] for row in rows.values())
        },
        "rows": rows,
        "differences": differences,
        "test": HOLM_NOTE,
        "published": {"note": PUBLISHED_NOTE, "rows": published},
    }


def _on_the_same_frames(runs: Mapping[str, Sequence[Case]]) -> tuple[dict[str, list[Case]], dict[str, int]]:
    sorted_runs = {name: checked(cases) for name, cases in runs.items()}
    if not sorted_runs:
        raise InputError("give at least one run to put into the table")
    shared = set.intersection(*({case.key for case in cases} for cases in sorted_runs.values()))
    if not shared:
        raise InputError(f"the runs {', '.join(runs)} have no frame with a reference in common")
    kept = {name: [case for case in cases if case.key in shared] for name, cases in sorted_runs.items()}
    return kept, {name: len(cases) - len(shared) for name, cases in sorted_runs.items()}


def _box_runs(runs: Mapping[str, Sequence[Case]]) -> dict[str, BoxRun]:
    """Empty where the reference boxes nothing; else all runs over the structures of reference and of any run."""
    judged = [case for cases in runs.values() for case in cases if boxed(case.truth.findings)]
    names = in_taxonomy_order(
        item.structure for case in judged for item in boxed([*case.truth.findings, *case.said])
    )
    return {name: box_run(cases, names) for name, cases in runs.items()} if names else {}


def _box_figures(run: BoxRun | None, seed: int) -> Figure:
    if run is None:
        return {}
    draws = Bootstrap.of(run.cases, seed)
    figures = {**coco_figures(run, draws), **fada_figures(run, draws)}
    return {name: figures[name] for name in ("map50", "map75", "fada_map50", "fada_map75")}


def _ratios(cases: Sequence[Case], boxes: BoxRun | None) -> dict[str, _Ratio]:
    """The columns that are a sum over a count, both (cases,); a column without a case is left out."""
    columns = {
        "f1_50": _f1(cases, boxes),
        **_overlaps(cases),
        "accuracy": _accuracy(cases),
        "json": _compliance(cases),
    }
    return {name: one for name, one in columns.items() if one.bottoms.any()}


def _f1(cases: Sequence[Case], boxes: BoxRun | None) -> _Ratio:
    tops, bottoms = np.zeros(len(cases)), np.zeros(len(cases))
    if boxes is not None:
        at = _places(boxes.cases, cases)
        hits, found, truths = counts_per_frame(boxes.as_coco(THRESHOLDS), 0)
        tops[at], bottoms[at] = 2 * hits, found + truths
    return _Ratio(tops, bottoms, int(np.count_nonzero(bottoms)))


def _places(some: Sequence[Case], cases: Sequence[Case]) -> list[int]:
    places = {case.key: place for place, case in enumerate(cases)}
    return [places[case.key] for case in some]


def _overlaps(cases: Sequence[Case]) -> dict[str, _Ratio]:
    judged = outlined(cases)
    pairs, at = overlap_pairs(judged), _places(judged, cases)
    measures: dict[str, Callable[[OverlapPair], float]] = {
        "dice": lambda pair: pair.overlap.dice,
        "iou": lambda pair: pair.overlap.iou,
    }
    columns = {}
    for name, measure in measures.items():
        tops, bottoms = np.zeros(len(cases)), np.zeros(len(cases))
        tops[at], bottoms[at] = sums_of(pairs, len(judged), measure)
        columns[name] = _Ratio(tops, bottoms, len(pairs))
    return columns


def _accuracy(cases: Sequence[Case]) -> _Ratio:
    asked = np.array([case.truth.plane is not None for case in cases], np.float64)
    right = [case.prediction is not None and case.prediction.plane == case.truth.plane for case in cases]
    return _Ratio(np.array(right, np.float64) * asked, asked, int(asked.sum()))


def _compliance(cases: Sequence[Case]) -> _Ratio:
    """Answers that were valid as they stood, of all answers; a frame without any answer counts as one invalid."""
    outcomes = [outcomes_of(case.prediction) if case.prediction else {} for case in cases]
    if not any(outcomes):
        return _Ratio(np.zeros(len(cases)), np.zeros(len(cases)), 0)
    valid = [list(one.values()).count(Outcome.AS_IT_STOOD) for one in outcomes]
    asked = np.array([max(len(one), 1) for one in outcomes], np.float64)
    return _Ratio(np.array(valid, np.float64), asked, int(asked.sum()))


def _differences(
    pair: tuple[str, str],
    boxes: Mapping[str, BoxRun],
    ratios: Mapping[str, Mapping[str, _Ratio]],
    draws: Bootstrap,
    seed: int,
) -> list[dict[str, Any]]:
    """Second - first of each column that both runs have."""
    first, second = pair
    figures: dict[str, Figure] = {}
    if boxes:
        runs = (boxes[second], boxes[first])
        draws_of_boxes = Bootstrap.of(runs[0].cases, seed)
        for rule, ranked, names in (
            (COCO_RULE, [run.as_coco(THRESHOLDS) for run in runs], ("map50", "map75")),
            (FADA_RULE, [run.as_fada() for run in runs], ("fada_map50", "fada_map75")),
        ):
            found = paired_differences(ranked[0], ranked[1], rule, draws_of_boxes)
            figures |= dict(zip(names, found, strict=True))
    for column in ratios[first]:
        if column in ratios[second]:
            figures[column] = draws.paired_ratio(ratios[second][column][:2], ratios[first][column][:2])
    return [
        {"column": column, "first": second, "second": first, **figure}
        for column, figure in figures.items()
        if "p" in figure
    ]

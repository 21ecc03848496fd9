"""Masks against masks: overlap by every convention that is in use, named, and distances between boundaries.

Frames whose reference outlines something take part. The masks of one structure in one frame are one: their union.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import mask_to_edge_rings
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case, in_taxonomy_order, masked, misfits
from exports.metrics.fada_dice import CANVAS, canvas_overlap
from exports.metrics.overlap import Overlap, decoded, overlap
from exports.metrics.ranking import Floats
from exports.metrics.surfaces import Surfaces, surfaces
from exports.text.resampling import Figure

PairT = TypeVar("PairT", bound="OverlapPair")
TOLERANCE_MM = 1.0
TOLERANCE_PX = 3.0
CONVENTIONS = {
    "macro_fada": "mean over the pairs of structure and frame that reference or prediction holds",
    "macro_monai": "mean over the pairs that the reference holds (MONAI's ignore_empty)",
    "pooled": "pixels of all pairs together",
    "fada_canvas": "macro_fada on outlines filled on a 1000 x 1000 canvas, as FADA's script does",
}


@dataclass(frozen=True)
class OverlapPair:
    """One structure in one frame, which reference or prediction holds; `case` is the place of its case."""

    case: int
    structure: str
    overlap: Overlap


@dataclass(frozen=True)
class MaskPair(OverlapPair):
    """The same with all that needs the pixels themselves."""

    on_canvas: Overlap
    surfaces: Surfaces
    in_mm: bool


def segmentation_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """All figures of masks, over everything and per structure; empty without a mask in the reference."""
    judged = outlined(cases)
    if not judged:
        return {}
    pairs = mask_pairs(judged)
    draws = Bootstrap.of(judged, seed)
    names = in_taxonomy_order(pair.structure for pair in pairs)
    strangers = sum(len(misfits(case.frame, case.said)) for case in judged)
    return {
        "frames": len(judged),
        "conventions": CONVENTIONS,
        "tolerance_mm": TOLERANCE_MM,
        "tolerance_px": TOLERANCE_PX,
        "masks_of_another_size": strangers,
        **_figures(pairs, draws, len(judged)),
        "per_structure": {
            name: _figures([pair for pair in pairs if pair.structure == name], draws, len(judged)) for name in names
        },
    }


def outlined(cases: Sequence[Case]) -> list[Case]:
    """The cases whose reference has a mask that is not empty."""
    return [
        case
        for case in cases
        if any(overlap(items, ()).truth for items in masked(case, case.truth.findings).values())
    ]


def overlap_pairs(cases: Sequence[Case]) -> list[OverlapPair]:
    """Every pair that is not empty on both sides, by case and structure."""
    pairs = []
    for place, case in enumerate(cases):
        truths, said = masked(case, case.truth.findings), masked(case, case.said)
        for name in in_taxonomy_order([*truths, *said]):
            counts = overlap(truths.get(name, ()), said.get(name, ()))
            if counts.truth or counts.said:
                pairs.append(OverlapPair(place, name, counts))
    return pairs


def mask_pairs(cases: Sequence[Case]) -> list[MaskPair]:
    """The same pairs, measured in full."""
    return [_measured(pair, cases[pair.case]) for pair in overlap_pairs(cases)]


def _measured(pair: OverlapPair, case: Case) -> MaskPair:
    findings = (masked(case, items).get(pair.structure, ()) for items in (case.truth.findings, case.said))
    truth, said = (decoded(items, case.frame) for items in findings)
    spacing = case.frame.pixel_spacing_mm
    return MaskPair(
        case=pair.case,
        structure=pair.structure,
        overlap=pair.overlap,
        on_canvas=canvas_overlap(_in_thousandths(truth), _in_thousandths(said)),
        surfaces=surfaces(truth, said, spacing or (1.0, 1.0)),
        in_mm=spacing is not None,
    )


def _figures(pairs: Sequence[MaskPair], draws: Bootstrap, cases: int) -> Figure:
    figures: Figure = {
        "pairs": len(pairs),
        "missed": sum(not pair.overlap.said for pair in pairs),
        "only_predicted": sum(not pair.overlap.truth for pair in pairs),
    }
    measures: dict[str, Callable[[MaskPair], float | None]] = {
        "dice_macro_fada": lambda pair: pair.overlap.dice,
        "iou_macro_fada": lambda pair: pair.overlap.iou,
        "dice_macro_monai": lambda pair: pair.overlap.dice if pair.overlap.truth else None,
        "iou_macro_monai": lambda pair: pair.overlap.iou if pair.overlap.truth else None,
        "dice_fada_canvas": lambda pair: pair.on_canvas.dice,
    }
    for unit, in_mm, tolerance in (("mm", True, TOLERANCE_MM), ("px", False, TOLERANCE_PX)):
        measures |= _measures_of_surfaces(unit, in_mm, tolerance)
    for name, measure in measures.items():
        tops, bottoms = sums_of(pairs, cases, measure)
        if bottoms.any():
            figures[name] = draws.ratio(tops, bottoms, n=int(bottoms.sum()))
    shared, total = (sums_of(pairs, cases, one)[0] for one in (_shared, _total))
    figures["dice_pooled"] = draws.ratio(2 * shared, total, n=len(pairs))
    figures["iou_pooled"] = draws.ratio(shared, total - shared, n=len(pairs))
    return figures


def sums_of(pairs: Sequence[PairT], cases: int, measure: Callable[[PairT], float | None]) -> tuple[Floats, Floats]:
    """Sum and count of a measure in each case; pairs of which it is None are left out."""
    tops, bottoms = np.zeros(cases), np.zeros(cases)
    for pair in pairs:
        if (value := measure(pair)) is not None:
            tops[pair.case] += value
            bottoms[pair.case] += 1
    return tops, bottoms


def _measures_of_surfaces(
    unit: str, in_mm: bool, tolerance: float
) -> dict[str, Callable[[MaskPair], float | None]]:
    return {
        f"hd95_{unit}": lambda pair: pair.surfaces.hd95 if pair.in_mm is in_mm else None,
        f"surface_dice_{unit}": lambda pair: pair.surfaces.surface_dice(tolerance) if pair.in_mm is in_mm else None,
        f"added_path_length_{unit}": lambda pair: pair.surfaces.added_path_length if pair.in_mm is in_mm else None,
    }


def _shared(pair: MaskPair) -> float:
    return pair.overlap.shared


def _total(pair: MaskPair) -> float:
    return pair.overlap.truth + pair.overlap.said


def _in_thousandths(mask: NDArray[np.bool_]) -> list[Floats]:
    rings, _ = mask_to_edge_rings(mask) if mask.any() else ([], False)
    return [ring / mask.shape[::-1] * CANVAS for ring in rings]

"""Points against points: object keypoint similarity as COCO defines it, and plain distances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from annotator.schema import Finding
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case, in_taxonomy_order, pointed
from exports.metrics.ranking import Floats
from exports.text.resampling import Figure

# No sigma is published for caliper points; this is the mean of COCO's seventeen.
SIGMA = 0.067
THINNEST = 0.25  # of the square over the longer side: callipers in one line would span no area, and forgive nothing


@dataclass(frozen=True)
class PointPair:
    """One pointed structure of the reference and what it was paired with; `distance` is None where nothing was."""

    case: int
    structure: str
    oks: float
    distance_px: float | None
    distance_mm: float | None


def keypoint_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """OKS (0 where nothing was found) and the mean distance of the points that were; empty without a true point."""
    judged = [case for case in cases if _visible(case)]
    if not judged:
        return {}
    draws = Bootstrap.of(judged, seed)
    pairs = [pair for place, case in enumerate(judged) for pair in _pairs_of(place, case)]
    names = in_taxonomy_order(pair.structure for pair in pairs)
    return {
        "frames": len(judged),
        "sigma": SIGMA,
        **_figures(pairs, draws, len(judged)),
        "per_structure": {
            name: _figures([pair for pair in pairs if pair.structure == name], draws, len(judged)) for name in names
        },
    }


def object_keypoint_similarity(gaps_xy: Floats, area: float, sigma: float = SIGMA) -> float:
    """COCO's OKS of (N, 2) gaps between visible points, in pixels, on an object of `area` square pixels.

    Mean of exp(-d^2 / (2 area (2 sigma)^2)), as in `COCOeval.computeOks`; a gap that is not finite counts 0.

    >>> round(object_keypoint_similarity(np.array([[0.0, 0.0], [3.0, 4.0]]), 2500.0, 0.05), 4)
    0.8033
    """
    squared = (gaps_xy**2).sum(axis=1) / (2 * sigma) ** 2 / (area + np.spacing(1)) / 2
    return float(np.mean(np.exp(-np.where(np.isfinite(squared), squared, np.inf))))


def extent(finding: Finding) -> float:
    """The area that OKS measures a structure by: of its box, at least a quarter of the square over its length."""
    x_min, y_min, x_max, y_max = finding.box_xyxy
    width, height = x_max - x_min, y_max - y_min
    return max(width * height, THINNEST * max(width, height) ** 2)


def gaps_xy(truth: Finding, said: Finding) -> Floats:
    """(N, 2) gaps between the visible points of the reference and those of the same name; NaN where one lacks."""
    found = {point.name: point for point in said.keypoints if point.visibility}
    rows = [
        (found[point.name].x - point.x, found[point.name].y - point.y) if point.name in found else (np.nan, np.nan)
        for point in truth.keypoints
        if point.visibility
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def _visible(case: Case) -> bool:
    findings = (item for items in pointed(case.truth.findings).values() for item in items)
    return any(point.visibility for item in findings for point in item.keypoints)


def _pairs_of(place: int, case: Case) -> list[PointPair]:
    said = pointed(case.said)
    pairs = []
    for name, truths in pointed(case.truth.findings).items():
        marked = [item for item in truths if any(point.visibility for point in item.keypoints)]
        pairs += _best_pairs(place, case, name, marked, said.get(name, []))
    return pairs


def _best_pairs(
    place: int, case: Case, name: str, truths: Sequence[Finding], said: Sequence[Finding]
) -> list[PointPair]:
    """Pair the findings of one structure so that the similarities sum to the most."""
    gaps = [[gaps_xy(truth, one) for one in said] for truth in truths]
    likeness = np.array(
        [
            [object_keypoint_similarity(gap, extent(truth)) for gap in row]
            for truth, row in zip(truths, gaps, strict=True)
        ]
    ).reshape(len(truths), len(said))
    rows, columns = linear_sum_assignment(-likeness)
    partner = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    spacing = case.frame.pixel_spacing_mm
    pairs = []
    for row in range(len(truths)):
        if row not in partner:
            pairs.append(PointPair(place, name, 0.0, None, None))
            continue
        gap = gaps[row][partner[row]]
        in_mm = _mean_length(gap * spacing[::-1]) if spacing else None
        pairs.append(PointPair(place, name, float(likeness[row, partner[row]]), _mean_length(gap), in_mm))
    return pairs


def _mean_length(gaps: NDArray[np.float64]) -> float | None:
    lengths = np.hypot(gaps[:, 0], gaps[:, 1])
    there = lengths[np.isfinite(lengths)]
    return float(there.mean()) if there.size else None


def _figures(pairs: Sequence[PointPair], draws: Bootstrap, cases: int) -> Figure:
    figures: Figure = {"truths": len(pairs), "not_found": sum(pair.distance_px is None for pair in pairs)}
    for name in ("oks", "distance_px", "distance_mm"):
        tops, bottoms = np.zeros(cases), np.zeros(cases)
        for pair in pairs:
            if (value := getattr(pair, name)) is not None:
                tops[pair.case] += value
                bottoms[pair.case] += 1
        if bottoms.any():
            figures[name] = draws.ratio(tops, bottoms, n=int(bottoms.sum()))
    return figures

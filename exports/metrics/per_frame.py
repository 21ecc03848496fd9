"""The scores of one frame: what the paired comparison of two model versions is made of."""

from collections import defaultdict
from collections.abc import Sequence

from annotator.geometry import box_iou
from annotator.schema import Finding
from exports.metrics.cases import Case, boxed, masked
from exports.metrics.overlap import overlap

F1_AT_IOU = 0.5


def frame_scores(case: Case) -> dict[tuple[str, str], float]:
    """Scores between 0 and 1 by kind and name; a frame on which the model failed scores 0 for all of its truth.

    ("dice", structure) where the reference outlines something: for each structure that it or the model outlines.
    ("detection", structure) where the reference boxes something: F1 of boxes at IoU .50, matched in order of
    score. ("plane", the reference's view): 1.0 where the model names it. What the reference says nothing of is
    left out: a model is not punished for what nobody looked at.
    """
    scores: dict[tuple[str, str], float] = {}
    outlined, said = masked(case, case.truth.findings), masked(case, case.said)
    if outlined:
        for name in sorted({*outlined, *said}):
            scores["dice", name] = overlap(outlined.get(name, ()), said.get(name, ())).dice
    scores.update({("detection", name): value for name, value in _detection(case).items()})
    if case.truth.plane is not None:
        right = case.prediction is not None and case.prediction.plane == case.truth.plane
        scores["plane", case.truth.plane] = float(right)
    return scores


def _detection(case: Case) -> dict[str, float]:
    truths, said = _by_structure(boxed(case.truth.findings)), _by_structure(boxed(case.said))
    if not truths:
        return {}
    return {name: _f1(truths.get(name, []), said.get(name, [])) for name in sorted({*truths, *said})}


def _by_structure(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    named: dict[str, list[Finding]] = defaultdict(list)
    for item in findings:
        named[item.structure].append(item)
    return named


def _f1(truths: Sequence[Finding], said: Sequence[Finding]) -> float:
    """As COCO matches: in order of score, each with the best truth that is left, the last of equal ones."""
    left = list(truths)
    for item in sorted(said, key=lambda one: -(one.score if one.score is not None else 0.0)):
        overlaps = [box_iou(item.box_xyxy, truth.box_xyxy) for truth in left]
        best = max(range(len(left)), key=lambda place: (overlaps[place], place), default=None)
        if best is not None and overlaps[best] >= F1_AT_IOU:
            del left[best]
    hits = len(truths) - len(left)
    return 2 * hits / (len(truths) + len(said))

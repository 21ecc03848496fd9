"""One finding where two phases saw the same thing: the detected box gets the mask that was segmented in it."""

from collections.abc import Sequence

from annotator.geometry import box_iou
from annotator.schema import Finding

SAME_THING_IOU = 0.5


def merge_findings(detected: Sequence[Finding], segmented: Sequence[Finding]) -> tuple[Finding, ...]:
    """Join masks to boxes of the same structure, best overlap first; what has no partner stays as it is.

    A joined finding keeps the score of the detection and the larger of the two removed masses; its box is the
    detected one, its mask the segmented one.
    """
    overlaps = [
        (box_iou(box.box_xyxy, outline.box_xyxy), row, column)
        for row, box in enumerate(detected)
        for column, outline in enumerate(segmented)
        if box.structure == outline.structure
    ]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for overlap, row, column in sorted(overlaps, key=lambda item: (-item[0], item[1], item[2])):
        if overlap >= SAME_THING_IOU and row not in partner and column not in taken:
            partner[row] = column
            taken.add(column)
    joined = [_joined(box, segmented[partner[row]]) if row in partner else box for row, box in enumerate(detected)]
    return (*joined, *(outline for column, outline in enumerate(segmented) if column not in taken))


def _joined(box: Finding, outline: Finding) -> Finding:
    masses = [mass for mass in (box.removed_mass, outline.removed_mass) if mass is not None]
    return box.model_copy(
        update={
            "mask_rle": outline.mask_rle,
            "score": box.score if box.score is not None else outline.score,
            "removed_mass": max(masses, default=None),
        }
    )

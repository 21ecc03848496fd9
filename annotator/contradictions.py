"""Which correction of a frame counts where several readers made one: the adjudicator's, else by the rule."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from annotator.geometry import box_iou
from annotator.schema import Correction

Rule = Literal["newest", "leave_out"]
LEAST_IOU = 0.5


def settled_corrections(
    corrections: Iterable[Correction], *, adjudicator: str | None = None, rule: Rule = "newest"
) -> Iterator[Correction]:
    """Yield the one correction of each frame that counts; those of a frame come together, the newest last.

    A skipped one says nothing. Where readers contradict each other the adjudicator's counts; without one, the
    newest under the rule `newest`, none under `leave_out`.
    """
    for _, said in groupby(corrections, key=lambda one: one.frame_id):
        settled = settle([one for one in said if not one.skipped], adjudicator=adjudicator, rule=rule)
        if settled is not None:
            yield settled


def settle(corrections: Sequence[Correction], *, adjudicator: str | None, rule: Rule) -> Correction | None:
    """Return the one of a frame's corrections (newest last) that counts, or None."""
    if not corrections:
        return None
    by_adjudicator = [one for one in corrections if adjudicator is not None and one.reader == adjudicator]
    if by_adjudicator:
        return by_adjudicator[-1]
    newest = corrections[-1]
    if rule == "leave_out" and any(contradict(newest, other) for other in corrections[:-1]):
        return None
    return newest


def contradict(first: Correction, second: Correction) -> bool:
    """Tell whether two readers disagree: on the plane, on what is there, or on where it is (box IoU below .50)."""
    if first.plane and second.plane and first.plane != second.plane:
        return True
    mine, theirs = (sorted(one.findings, key=lambda item: item.structure) for one in (first, second))
    if [item.structure for item in mine] != [item.structure for item in theirs]:
        return True
    return any(
        max(box_iou(item.box_xyxy, other.box_xyxy) for other in theirs if other.structure == item.structure)
        < LEAST_IOU
        for item in mine
    )

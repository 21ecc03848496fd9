"""The relabel queue: frames whose label is likely wrong, the likeliest first.

Planes are judged by cleanlab (confident learning, arXiv:1911.00068), which needs probabilities from a model that
was not trained on the frame. Shapes are judged by plain agreement with such a model: IoU of boxes, Dice of masks,
and confident findings that the label lacks. cleanlab's own box scores are not used: a frame of which all boxes were
lost gets the best of them, and here a structure lies in a frame once, so that nothing needs to be matched. What the
label has and the model lacks counts for nothing: it is most often the model that missed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from annotator.geometry import box_iou, dice, rle_to_mask
from annotator.schema import Finding
from annotator.selection.picking import Pick

BY = "label-errors"
LEAST_IOU, LEAST_DICE, SURE_SCORE = 0.5, 0.8, 0.8


@dataclass(frozen=True)
class Checked:
    """A labelled frame beside what a model says that was not trained on it (out of sample).

    `plane_probabilities` map planes to probabilities; empty where the model names no plane.
    """

    frame_id: str
    plane: str | None = None
    plane_probabilities: Mapping[str, float] = field(default_factory=dict)
    labelled: tuple[Finding, ...] = ()
    predicted: tuple[Finding, ...] = ()


def likely_errors(frames: Sequence[Checked], count: int | None = None) -> list[Pick]:
    """Return frames to look at again, at most `count`, each once, with its worst reason.

    `value` is the quality of the label, 0..1, lowest first: the probability of the given plane, the IoU or Dice of
    a shape, or one minus the score of a structure that was overlooked. Frames above suspicion are not in the list.
    """
    worst: dict[str, tuple[float, str]] = {}
    for frame_id, quality, reason in [*_plane_errors(frames), *_shape_errors(frames)]:
        if frame_id not in worst or quality < worst[frame_id][0]:
            worst[frame_id] = (quality, reason)
    ranked = sorted(worst.items(), key=lambda item: (item[1][0], item[0]))
    picks = [
        Pick(frame_id=frame_id, by=BY, value=round(quality, 6), reason=reason)
        for frame_id, (quality, reason) in ranked
    ]
    return picks[:count]


def _plane_errors(frames: Sequence[Checked]) -> Iterator[tuple[str, float, str]]:
    known = [frame for frame in frames if frame.plane is not None and frame.plane_probabilities]
    planes = sorted({name for frame in known for name in (frame.plane or "", *frame.plane_probabilities)})
    if len({frame.plane for frame in known}) < 2:
        return  # with one plane alone there is nothing that it could be mistaken for
    from cleanlab.filter import find_label_issues

    given = np.array([planes.index(frame.plane or "") for frame in known])
    chances = np.array([[frame.plane_probabilities.get(name, 0.0) for name in planes] for frame in known])
    chances = np.maximum(chances, 1e-6)
    chances /= chances.sum(axis=1, keepdims=True)
    for row in find_label_issues(given, chances, return_indices_ranked_by="self_confidence", n_jobs=1):
        likelier = planes[int(chances[row].argmax())]
        if likelier != known[row].plane:
            yield known[row].frame_id, float(chances[row, given[row]]), f"{likelier} is likelier"


def _shape_errors(frames: Sequence[Checked]) -> Iterator[tuple[str, float, str]]:
    for frame in frames:
        labelled = {finding.structure: finding for finding in frame.labelled}
        for predicted in frame.predicted:
            name = predicted.structure
            if name not in labelled:
                if predicted.score is not None and predicted.score >= SURE_SCORE:
                    yield frame.frame_id, 1 - predicted.score, f"{name} may have been overlooked"
                continue
            quality, least, measure = _agreement(labelled[name], predicted)
            if quality < least:
                yield frame.frame_id, quality, f"{name} lies elsewhere than predicted ({measure} {quality:.2f})"


def _agreement(first: Finding, second: Finding) -> tuple[float, float, str]:
    """Quality, the least that is above suspicion, and the measure's name."""
    masks = first.mask_rle, second.mask_rle
    if masks[0] is None or masks[1] is None or masks[0].size_hw != masks[1].size_hw:
        return box_iou(first.box_xyxy, second.box_xyxy), LEAST_IOU, "IoU"
    return dice(rle_to_mask(masks[0]), rle_to_mask(masks[1])), LEAST_DICE, "Dice"

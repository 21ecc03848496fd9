"""What must be known of a run's predictions before any score of them: did the model look at the frames at all?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotator.schema import Correction, Frame, Prediction
from exports.metrics.cases import Case, boxed
from exports.sanity import percent
from exports.variety import FEWEST_TO_JUDGE

_SAME_SHARE = 0.9
_TRAIN = frozenset({"train", "training"})


@dataclass(frozen=True)
class RunSanity:
    """Counts over the cases of one run; `constant_score` is the one score of all detections, where there is one."""

    cases: int
    failed: int
    without_findings: int
    detections: int
    without_score: int
    distinct_scores: int
    constant_score: float | None
    distinct_answers: int
    largest_share: float
    largest_share_of_reference: float
    planes_said: int
    planes_of_reference: int
    on_train_frames: int

    @property
    def collapsed(self) -> bool:
        """Whether nearly all of 20 frames or more got the same findings and view, unlike in the reference."""
        enough = self.cases - self.failed >= FEWEST_TO_JUDGE
        return enough and self.largest_share >= _SAME_SHARE > self.largest_share_of_reference

    def alarms(self) -> list[str]:
        """What forbids to take a score at its face value, the worst first."""
        lines = []
        answered = self.cases - self.failed
        if self.failed:
            lines.append(
                f"FAILED: {self.failed:,} of {self.cases:,} frames ({percent(self.failed / self.cases)}) have no "
                "prediction; they score 0"
            )
        if answered and self.without_findings == answered:
            lines.append(f"NO FINDINGS: the model found nothing on any of {answered:,} frames")
        elif self.collapsed:
            lines.append(
                f"COLLAPSED: {percent(self.largest_share)} of {answered:,} frames got the same findings and view"
            )
        if self.planes_said == 1 and self.planes_of_reference > 1 and answered >= FEWEST_TO_JUDGE:
            lines.append(
                f"ONE VIEW: the model names one view for all frames; the reference {self.planes_of_reference}"
            )
        if self.detections > 1 and self.without_score == self.detections:
            lines.append(f"NO CONFIDENCE: none of {self.detections:,} detections has a score; {_TIED}")
        elif self.constant_score is not None:
            lines.append(
                f"CONSTANT CONFIDENCE: all {self.detections:,} detections have the score {self.constant_score:g}; "
                f"{_TIED}"
            )
        if self.on_train_frames:
            lines.append(f"TRAIN FRAMES: {self.on_train_frames:,} of {self.cases:,} frames are of the train split")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For a JSON document; every count is there, zeros too."""
        return {"alarms": self.alarms(), "collapsed": self.collapsed, **self.__dict__}


_TIED = "average precision depends on the order of the frames, read F1 and Dice"


def look_over(cases: Sequence[Case]) -> RunSanity:
    """Count what makes a score worthless."""
    predictions = [case.prediction for case in cases if case.prediction is not None]
    found = [item for one in predictions for item in boxed(one.findings)]
    scores = Counter(item.score for item in found)
    only = next(iter(scores), None) if len(scores) == 1 and len(found) > 1 else None
    answers = Counter(_answer(case.frame, case.prediction) for case in cases if case.prediction is not None)
    meant = Counter(_answer(case.frame, case.truth) for case in cases)
    planes = {one.plane for one in predictions if one.plane is not None}
    return RunSanity(
        cases=len(cases),
        failed=len(cases) - len(predictions),
        without_findings=sum(not one.findings for one in predictions),
        detections=len(found),
        without_score=scores[None],
        distinct_scores=len(set(scores) - {None}),
        constant_score=only,
        distinct_answers=len(answers),
        largest_share=max(answers.values(), default=0) / max(len(predictions), 1),
        largest_share_of_reference=max(meant.values(), default=0) / max(len(cases), 1),
        planes_said=len(planes),
        planes_of_reference=len({case.truth.plane for case in cases} - {None}),
        on_train_frames=sum((case.frame.split or "").lower() in _TRAIN for case in cases),
    )


def _answer(frame: Frame, said: Prediction | Correction) -> tuple[object, ...]:
    """View and boxes to a hundredth of the frame: what is the same in this is the same answer."""
    width, height = frame.size_wh
    sizes = (width, height, width, height)
    boxes = sorted(
        (item.structure, *(round(100 * value / size) for value, size in zip(item.box_xyxy, sizes, strict=True)))
        for item in said.findings
    )
    return (said.plane, *boxes)

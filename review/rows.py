"""A study's grades in long form, as statisticians read it: a row a reader, case, slot, mode and dimension."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from annotator.schema import Frame
from annotator.store import Store
from annotator.store.studies import Presentation, Studies, StudyRows
from annotator.studies import Dimension, Mode, ReviewScore, StepKind, Study, StudyStep
from annotator.taxonomy import view
from review.edits import edit_effort
from review.fixes import correction_of, found_by
from review.steps import newest_steps

EFFORT = ("edit_seconds", "apl_px", "dice_change", "hd95_change_px")
GUIDED = ("own_plane", "own_normality", "own_view_agrees", "overturned", "guided_seconds", "own_targets")


def rows_of_study(store: Store, study: Study) -> Iterator[dict[str, Any]]:
    """Yield the grades that count, in the order in which they were given; `changed` counts the rows before them.

    `case` is a neutral number of the frame, the same for all readers; `plane` what most outputs take the frame for.
    Columns that do not apply are empty: steps in autonomous cases, edit effort where nothing was corrected.
    """
    with Studies(store).reading() as rows:
        scores = rows.scores_of_study(study.study_id)
        newest: dict[tuple[str, str, str], ReviewScore] = {}
        changed: Counter[tuple[str, str, str]] = Counter()
        for score in scores:
            key = (score.token, score.slot, score.dimension.value)
            changed[key] += key in newest
            newest[key] = score
        facts = _Facts(rows, study)
        for key, score in newest.items():
            yield {
                **facts.of_case(score),
                **_grade(score, changed[key]),
                **facts.of_steps(score),
                "study": study.name,
            }


def plan_rows(store: Store, study: Study) -> Iterator[dict[str, Any]]:
    """Yield the stored plan, one row a presentation: what a referee needs to check the randomisation."""
    numbers = {case.frame_id: f"case{place:05}" for place, case in enumerate(study.cases, start=1)}
    with Studies(store).reading() as rows:
        for one in rows.presentations(study.study_id):
            yield {
                "study": study.name,
                "reader": one.reader,
                "position": one.sequence + 1,
                "period": one.period + 1,
                "mode": one.mode.value,
                "case": numbers[one.frame_id],
                "repeat": int(one.is_repeat),
                "slots": " ".join(f"{slot.letter}={slot.model_version}" for slot in one.slots),
                "done": int(one.done),
                "seed": study.seed,
                "algorithm": study.algorithm,
            }


class _Facts:
    """What is known of frames, cases and steps; each is read once."""

    def __init__(self, rows: StudyRows, study: Study) -> None:
        self._rows = rows
        self._cases = {case.frame_id: (place, case) for place, case in enumerate(study.cases, start=1)}
        self._frames: dict[str, tuple[Frame | None, str]] = {}
        self._plan: dict[str, Presentation] = {one.token: one for one in rows.presentations(study.study_id)}
        self._steps: dict[str, list[StudyStep]] = defaultdict(list)
        for step in rows.steps_of_study(study.study_id):
            self._steps[step.token].append(step)

    def of_case(self, score: ReviewScore) -> dict[str, Any]:
        if score.frame_id not in self._frames:
            self._frames[score.frame_id] = (self._rows.frame(score.frame_id), self._plane(score.frame_id))
        frame, plane = self._frames[score.frame_id]
        return {
            "case": f"case{self._cases[score.frame_id][0]:05}",
            "subject": (frame and frame.subject) or "",
            "site": (frame and frame.site) or "",
            "scanner": (frame and frame.scanner) or "",
            "split": (frame and frame.split) or "",
            "plane": plane,
            "period": self._plan[score.token].period + 1,
            "frame": score.frame_id,
            "prediction": score.prediction_id or "",
        }

    def _plane(self, frame_id: str) -> str:
        ids = self._cases[frame_id][1].prediction_ids
        predictions = [self._rows.prediction(one) for one in ids if one is not None]
        named = Counter(view(one.plane).long_name for one in predictions if one is not None and one.plane)
        return named.most_common(1)[0][0] if named else ""

    def of_steps(self, score: ReviewScore) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys((*GUIDED, *EFFORT), "")
        if score.mode is not Mode.GUIDED:
            return found
        steps = newest_steps(self._steps[score.token])
        own = steps[StepKind.OWN_VIEW].own_view if StepKind.OWN_VIEW in steps else None
        text = steps[StepKind.INTERPRETATION].text if StepKind.INTERPRETATION in steps else None
        targets = steps[StepKind.TARGETS].targets if StepKind.TARGETS in steps else None
        found["guided_seconds"] = sum(step.seconds or 0.0 for step in self._steps[score.token])
        if own is not None:
            prediction = self._rows.prediction(score.prediction_id) if score.prediction_id else None
            found |= {"own_plane": own.plane, "own_normality": own.normality.value}
            found["own_view_agrees"] = int(prediction is not None and prediction.plane == own.plane)
        if text is not None and text.overturned is not None:
            found["overturned"] = int(text.overturned)
        if targets is not None:
            found["own_targets"] = int(not targets.is_preset)
        return {**found, **self._effort(score)}

    def _effort(self, score: ReviewScore) -> dict[str, Any]:
        """Edit effort belongs to the annotation's grade: the interpretation was not drawn."""
        steps = newest_steps(self._steps[score.token])
        correction = correction_of(self._rows, score.frame_id, score.reader, steps)
        frame = self._frames[score.frame_id][0]
        if score.dimension is not Dimension.ANNOTATION or correction is None or frame is None:
            return {}
        effort = edit_effort(found_by(self._rows, steps), correction.findings, frame.size_wh)
        fixing = [one.seconds or 0.0 for one in self._steps[score.token] if one.step is StepKind.GEOMETRY]
        seconds = sum(fixing) + (correction.lead_time_s or 0.0 if correction.external_id else 0.0)
        if effort is None:
            return {"edit_seconds": seconds}
        distance = effort.hd95_change_px if effort.hd95_change_px is not None else ""
        measured = {"apl_px": effort.apl_px, "dice_change": effort.dice_change, "hd95_change_px": distance}
        return {"edit_seconds": seconds, **measured}


def _grade(score: ReviewScore, changed: int) -> dict[str, Any]:
    return {
        "reader": score.reader,
        "mode": score.mode.value,
        "version": score.model_version,
        "dimension": score.dimension.value,
        "grade": score.grade,
        "suggested_grade": score.suggested if score.suggested is not None else "",
        "repeat": int(score.repeat),
        "position": score.position,
        "seconds": score.seconds if score.seconds is not None else "",
        "slot": score.slot,
        "criteria": " ".join(score.criteria),
        "error_types": json.dumps(score.error_types) if score.error_types else "",
        "comment": score.comment,
        "blinded": int(score.blinded),
        "changed": changed,
        "reason": score.reason,
        "graded_at": score.created_at.isoformat(),
    }

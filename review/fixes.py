"""The outlines of a guided case: as a run found them, as fixed in place, as Label Studio brought them back.

A grade is locked before any correction: fixes wait for the annotation's grade. Accepting all is a Correction too.
"""

from collections.abc import Callable, Sequence
from typing import Any

from annotator import taxonomy
from annotator.errors import AnnotatorError
from annotator.schema import Change, Correction, Finding, Origin
from annotator.store.studies import Presentation, StudyRows
from annotator.studies import Dimension, GeometryEdit, Mode, Run, StepKind, Study
from review.accounts import Person
from review.blinding import opaque_shape_id, opaque_shapes
from review.desk import Desk, Document
from review.overlay import overlay_of
from review.refusals import OutOfTurn, Unusable
from review.requests import GeometryRequest
from review.running import targeted
from review.steps import Steps, newest_steps, step_of

HandOver = Callable[[str, str, str], str]
NOT_CONNECTED = "Label Studio is not connected: annotator labelstudio connect"


def run_of(steps: Steps) -> Run | None:
    """Return the newest run of a case."""
    return steps[StepKind.RUN].run if StepKind.RUN in steps else None


def has_run(steps: Steps) -> bool:
    """Tell whether the newest run found what it was asked for."""
    run = run_of(steps)
    return run is not None and run.state == "done"


def found_by(rows: StudyRows, steps: Steps) -> list[Finding]:
    """Return what the newest run found of what it was asked for."""
    run, targets = run_of(steps), steps[StepKind.TARGETS].targets if StepKind.TARGETS in steps else None
    prediction = rows.prediction(run.prediction_id) if run and run.prediction_id else None
    if prediction is None or targets is None:
        return []
    return targeted(prediction.findings, targets.detect, targets.segment)


def correction_of(rows: StudyRows, frame_id: str, reader: str, steps: Steps) -> Correction | None:
    """Return the newest correction of a guided case: fixed in place, or from Label Studio after the hand-over.

    Label Studio has logins of its own: a correction from there counts unless its name is another reader's here.
    """
    edit = steps[StepKind.GEOMETRY].geometry if StepKind.GEOMETRY in steps else None
    handed_over = steps.get(StepKind.LABEL_STUDIO)
    newest: Correction | None = None
    for one in rows.corrections_of(frame_id) if edit or handed_over else ():
        is_fix = edit is not None and one.correction_id == edit.correction_id
        came_after = handed_over is not None and one.created_at >= handed_over.created_at
        if is_fix or (came_after and one.external_id and (one.reader == reader or not rows.account(one.reader))):
            newest = one
    return newest


class Geometry:
    """Shows and corrects the outlines of guided cases."""

    def __init__(self, desk: Desk, hand_over: HandOver | None = None) -> None:
        """Open Label Studio by `hand_over(frame_id, prediction_id, reader) -> url`, where there is one."""
        self._desk = desk
        self._hand_over = hand_over

    def overlay(self, rows: StudyRows, study: Study, case: Presentation, steps: Steps) -> list[dict[str, Any]]:
        """Return the outlines as they stand now."""
        frame = self._desk.frame(rows, case.frame_id)
        findings, _ = self._findings(rows, case, steps)
        return opaque_shapes(overlay_of(findings, frame, blinded=True), study.secret, case.token)

    def fix(self, person: Person, asked: GeometryRequest) -> Document:
        """Remove and relabel outlines, or accept them, as a Correction beside the prediction."""
        with self._desk.studies.writing() as rows:
            study, case, steps = self._after_run(rows, person, asked.case)
            if asked.removed or asked.relabelled:
                self._check_graded(rows, case)
            findings, _ = self._findings(rows, case, steps)
            by_shape = {opaque_shape_id(study.secret, case.token, one.finding_id): one for one in findings}
            if not {*asked.removed, *asked.relabelled} <= set(by_shape):
                raise OutOfTurn("an outline is not there any more: load the case again")
            if not all(taxonomy.is_structure(name) for name in asked.relabelled.values()):
                raise Unusable("an outline cannot be given a name that is not in the list of structures")
            correction = self._correction(rows, case, steps, _fixed(by_shape, asked))
            correction = correction.model_copy(update={"lead_time_s": asked.seconds})
            edit = GeometryEdit(
                correction_id=correction.correction_id,
                removed=len(asked.removed),
                relabelled=len(asked.relabelled),
                accepted=asked.accepted,
            )
            rows.add_correction(correction)
            step = step_of(study, case, StepKind.GEOMETRY, asked.seconds, self._desk, geometry=edit)
            rows.add_step(step)
            steps = {**steps, StepKind.GEOMETRY: step}
            return {"overlay": self.overlay(rows, study, case, steps)}

    def open_in_labelstudio(self, person: Person, token: str) -> Document:
        """Return where the same frame can be corrected; OutOfTurn where Label Studio is not there."""
        if self._hand_over is None:
            raise OutOfTurn(NOT_CONNECTED)
        with self._desk.studies.reading() as rows:
            study, case, steps = self._after_run(rows, person, token)
            self._check_graded(rows, case)
            run = run_of(steps)
        try:
            url = self._hand_over(case.frame_id, (run.prediction_id if run else None) or "", case.reader)
        except AnnotatorError as error:
            raise OutOfTurn(str(error)) from error
        with self._desk.studies.writing() as rows:
            rows.add_step(step_of(study, case, StepKind.LABEL_STUDIO, None, self._desk))
        return {"url": url}

    def watch(self, person: Person, token: str) -> Document:
        """Return the outlines, and whether a correction has come back from Label Studio."""
        with self._desk.studies.reading() as rows:
            study, case, steps = self._after_run(rows, person, token)
            _, came_back = self._findings(rows, case, steps)
            return {"overlay": self.overlay(rows, study, case, steps), "corrected_in_labelstudio": came_back}

    def _after_run(self, rows: StudyRows, person: Person, token: str) -> tuple[Study, Presentation, Steps]:
        study, case = self._desk.own_case(rows, person, token)
        self._desk.check_turn(rows, study, case)
        steps = newest_steps(rows.steps(token))
        if case.mode is not Mode.GUIDED or not has_run(steps):
            raise OutOfTurn("there are no outlines yet: have the structures looked for first")
        return study, case, steps

    def _check_graded(self, rows: StudyRows, case: Presentation) -> None:
        if not any(score.dimension is Dimension.ANNOTATION for score in rows.scores(case.token)):
            raise OutOfTurn("grade the annotation first: a grade is locked before anything is corrected")

    def _findings(self, rows: StudyRows, case: Presentation, steps: Steps) -> tuple[Sequence[Finding], bool]:
        """Return the outlines that count, and whether they came back from Label Studio."""
        newest = correction_of(rows, case.frame_id, case.reader, steps)
        if newest is not None:
            return newest.findings, newest.external_id is not None
        return found_by(rows, steps), False

    def _correction(
        self, rows: StudyRows, case: Presentation, steps: Steps, findings: Sequence[Finding]
    ) -> Correction:
        found = {one.finding_id: one for one in found_by(rows, steps)}
        kept = {one.finding_id for one in findings}
        changes = {
            one.finding_id: Change.KEPT if _is_same(one, found[one.finding_id]) else Change.CHANGED
            for one in findings
            if one.finding_id in found
        }
        deleted = tuple(name for name in found if name not in kept)
        text = steps[StepKind.INTERPRETATION].text if StepKind.INTERPRETATION in steps else None
        plane = text.view.plane if text and text.view and taxonomy.is_view(text.view.plane) else None
        run = run_of(steps)
        return Correction(
            frame_id=case.frame_id,
            reader=case.reader,
            prediction_id=run.prediction_id if run else None,
            findings=tuple(findings),
            plane=plane,
            interpretation=text.interpretation if text else None,
            deleted_finding_ids=deleted,
            changes={**changes, **dict.fromkeys(deleted, Change.DELETED)},
            created_at=self._desk.clock(),
        )


def _fixed(by_shape: dict[str, Finding], asked: GeometryRequest) -> list[Finding]:
    fixed = []
    for shape_id, finding in by_shape.items():
        if shape_id in asked.removed:
            continue
        kept = finding.model_copy(update={"parent_finding_id": finding.parent_finding_id or finding.finding_id})
        name = asked.relabelled.get(shape_id, finding.structure)
        if name != finding.structure:
            kept = kept.model_copy(update={"structure": name, "origin": Origin.PREDICTION_CHANGED, "score": None})
        fixed.append(kept)
    return fixed


def _is_same(first: Finding, second: Finding) -> bool:
    return first.model_dump(exclude={"parent_finding_id"}) == second.model_dump(exclude={"parent_finding_id"})

"""Guided cases, gated: the reader's own view, then the model's text, then what to look for, then the outlines.

A step that has been passed stays; nothing of the model is sent before the own view is stored. Each step is a row
with its seconds. Grades are locked before geometry is corrected, which may then go on for as long as it takes.
"""

from annotator.schema import Interpretation
from annotator.store.studies import Presentation, StudyRows
from annotator.studies import (
    Dimension,
    Mode,
    OwnView,
    ReadText,
    ReviewScore,
    Run,
    StepKind,
    Study,
    StudyStep,
    Targets,
)
from review.accounts import Person
from review.desk import Desk, Document
from review.documents import choices_document, rubric_document
from review.fixes import Geometry, has_run, run_of
from review.plan import opaque_token
from review.refusals import OutOfTurn, Unusable
from review.requests import GradeRequest, InterpretationRequest, OwnViewRequest, TargetsRequest
from review.running import GuidedRunner, RunProgress, groups_document, why_not_together
from review.steps import Steps, newest_steps, overturns, step_of, steps_document, view_after


class GuidedCases:
    """The gates and steps of guided cases."""

    def __init__(self, desk: Desk, runner: GuidedRunner, geometry: Geometry) -> None:
        """Look for structures by `runner`."""
        self._desk = desk
        self._runner = runner
        self._geometry = geometry

    def gate(self, rows: StudyRows, study: Study, case: Presentation, document: Document) -> None:
        """Take out of a case's document what its reader may not see yet, and put its steps in."""
        steps = newest_steps(rows.steps(case.token))
        (slot,) = document["slots"] or [None]
        redact = self._desk.redactor(rows, study, self._desk.frame(rows, case.frame_id))
        document.update(choices_document(), steps=steps_document(steps, study.secret, redact))
        own = steps[StepKind.OWN_VIEW].own_view if StepKind.OWN_VIEW in steps else None
        if own is not None and own.plane != "other":
            document["rubric"] = rubric_document([own.plane])
        if slot is None:
            return
        if own is None:
            document["rubric"] = rubric_document([])
            slot.update(failed=None, plane=None, interpretation=None, contradiction=None, overlay=[])
            return
        slot["overlay"] = self._geometry.overlay(rows, study, case, steps) if has_run(steps) else []

    def own_view(self, person: Person, asked: OwnViewRequest) -> None:
        """Store the reader's own view, once: after it the model's text is shown."""
        view = OwnView(plane=asked.plane, normality=asked.normality, seen=asked.seen)
        with self._desk.studies.writing() as rows:
            study, case, steps = self._open(rows, person, asked.case)
            if StepKind.OWN_VIEW not in steps:
                rows.add_step(step_of(study, case, StepKind.OWN_VIEW, asked.seconds, self._desk, own_view=view))
            elif steps[StepKind.OWN_VIEW].own_view != view:
                raise OutOfTurn("your own view is stored and stays: the model's text was shown after it")

    def interpretation(self, person: Person, asked: InterpretationRequest) -> Document:
        """Store the text as the reader left it; return what the mapping would look for in it."""
        with self._desk.studies.writing() as rows:
            study, case, steps = self._open(rows, person, asked.case)
            own = self._passed(steps, StepKind.OWN_VIEW, "first say what you see yourself").own_view
            prediction_id = case.slots[0].prediction_id
            prediction = rows.prediction(prediction_id) if prediction_id else None
            if own is None or prediction is None:
                raise OutOfTurn("this output failed: there is no text to read; grade it as not gradable (NG)")
            frame = self._desk.frame(rows, case.frame_id)
            redact = self._desk.redactor(rows, study, frame)
            written = prediction.interpretation or Interpretation()
            # The page shows redacted text; a field that comes back as it was shown is the model's own, unchanged.
            corrected = {
                name: text
                for name, text in asked.fields.items()
                if text.strip() != redact(getattr(written, name)).strip()
            }
            read = written.model_copy(update=corrected)
            view = view_after(asked, own, prediction.plane, is_plane_kept="imaging_plane" not in corrected)
            text = ReadText(
                interpretation=read,
                corrected_fields=tuple(corrected),
                view=view,
                overturned=overturns(own, view),
            )
            rows.add_step(step_of(study, case, StepKind.INTERPRETATION, asked.seconds, self._desk, text=text))
        preset = self._runner.preset(prediction, read)
        evidence = [redact(line) for line in preset.evidence]
        chosen = {"detect": list(preset.detect), "segment": list(preset.segment)}
        return {"preset": {"tier": preset.tier, "evidence": evidence, **chosen}, "groups": groups_document()}

    def targets(self, person: Person, asked: TargetsRequest) -> Document:
        """Store what to look for and begin to look for it; an earlier run is cancelled."""
        why_not = why_not_together(asked.detect, asked.segment)
        if why_not:
            raise Unusable(why_not)
        with self._desk.studies.writing() as rows:
            study, case, steps = self._open(rows, person, asked.case)
            text = self._passed(steps, StepKind.INTERPRETATION, "first read the interpretation").text
            self._check_not_graded(rows, case, steps)
            prediction_id = case.slots[0].prediction_id
            prediction = rows.prediction(prediction_id) if prediction_id else None
            if prediction is None or text is None:
                raise OutOfTurn("this output failed: there is nothing to look for")
            preset = self._runner.preset(prediction, text.interpretation)
            targets = Targets(
                detect=asked.detect,
                segment=asked.segment,
                tier=preset.tier,
                evidence=preset.evidence,
                is_preset=set(preset.detect) == set(asked.detect) and set(preset.segment) == set(asked.segment),
            )
            rows.add_step(step_of(study, case, StepKind.TARGETS, asked.seconds, self._desk, targets=targets))
        # The runner may write to the same database: it is called when our own transaction is over.
        self._cancel_running(steps)
        run = self._runner.start(case.frame_id, asked.detect, asked.segment, prediction_id=prediction_id)
        with self._desk.studies.writing() as rows:
            begun = Run(run=run, state="running")
            rows.add_step(step_of(study, case, StepKind.RUN, None, self._desk, run=begun))
        return {"run": opaque_token(study.secret, "run", run)[:16]}

    def run(self, person: Person, token: str) -> Document:
        """Tell how the run stands, and store its end when it has come."""
        with self._desk.studies.reading() as rows:
            study, case = self._desk.own_case(rows, person, token)
            steps = newest_steps(rows.steps(token))
            run = run_of(steps)
        if run is None:
            raise OutOfTurn("nothing is being looked for: choose structures first")
        progress = self._progress(run)
        if run.state == "running" and progress.state not in ("queued", "running"):
            self._end_run(study, case, run, progress)
        with self._desk.studies.reading() as rows:
            steps = newest_steps(rows.steps(token))
            overlay = self._geometry.overlay(rows, study, case, steps) if has_run(steps) else []
            line = self._desk.redactor(rows, study, self._desk.frame(rows, case.frame_id))(progress.line)
        return {"state": progress.state, "progress": progress.fraction, "line": line, "overlay": overlay}

    def cancel(self, person: Person, token: str) -> Document:
        """Stop the run."""
        with self._desk.studies.reading() as rows:
            study, case, steps = self._open(rows, person, token)
        run = run_of(steps)
        if run is None or not self._cancel_running(steps):
            return {"cancelled": False}
        self._end_run(study, case, run, RunProgress("cancelled", line="cancelled"))
        return {"cancelled": True}

    def check_gradable(self, rows: StudyRows, case: Presentation, asked: GradeRequest, *, has_failed: bool) -> None:
        """Let a grade pass only after the steps before it; OutOfTurn otherwise."""
        steps = newest_steps(rows.steps(case.token))
        self._passed(steps, StepKind.OWN_VIEW, "first say what you see yourself")
        if asked.dimension is Dimension.INTERPRETATION or has_failed or has_run(steps):
            return
        run = run_of(steps)
        if asked.grade != "NG" or run is None or run.state == "running":
            raise OutOfTurn("first have the structures looked for; where that fails, grade as not gradable (NG)")

    def graded(self, rows: StudyRows, case: Presentation, score: ReviewScore) -> ReviewScore:
        """Let an annotation's grade name the output of the run that it is about."""
        steps = newest_steps(rows.steps(case.token))
        run = run_of(steps)
        if score.dimension is Dimension.INTERPRETATION or run is None or run.prediction_id is None:
            return score
        return score.model_copy(update={"prediction_id": run.prediction_id})

    def _progress(self, run: Run) -> RunProgress:
        if run.state != "running":
            return RunProgress(run.state, float(run.state == "done"), run.line, prediction_id=run.prediction_id)
        try:
            return self._runner.progress(run.run)
        except KeyError:
            return RunProgress("failed", line="the run was lost when the server stopped: choose again")

    def _end_run(self, study: Study, case: Presentation, run: Run, progress: RunProgress) -> None:
        ended = run.model_copy(
            update={"state": progress.state, "line": progress.line[:500], "prediction_id": progress.prediction_id}
        )
        with self._desk.studies.writing() as rows:
            newest = newest_steps(rows.steps(case.token))[StepKind.RUN].run
            if newest == run:  # two windows may both have asked, or another run was begun meanwhile
                rows.add_step(step_of(study, case, StepKind.RUN, None, self._desk, run=ended))

    def _cancel_running(self, steps: Steps) -> bool:
        run = run_of(steps)
        if run is None or run.state != "running":
            return False
        self._runner.cancel(run.run)
        return True

    def _open(self, rows: StudyRows, person: Person, token: str) -> tuple[Study, Presentation, Steps]:
        study, case = self._desk.own_case(rows, person, token)
        if case.mode is not Mode.GUIDED:
            raise Unusable("this is not a guided case")
        if case.done:
            raise OutOfTurn("this case is finished and locked", current=None)
        self._desk.check_turn(rows, study, case)
        return study, case, newest_steps(rows.steps(token))

    def _passed(self, steps: Steps, kind: StepKind, line: str) -> StudyStep:
        if kind not in steps:
            raise OutOfTurn(line)
        return steps[kind]

    def _check_not_graded(self, rows: StudyRows, case: Presentation, steps: Steps) -> None:
        if StepKind.GEOMETRY in steps or any(
            score.dimension is Dimension.ANNOTATION for score in rows.scores(case.token)
        ):
            raise OutOfTurn("the annotation is graded or accepted: what it shows stays as it was")

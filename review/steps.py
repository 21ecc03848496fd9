"""The steps of a guided case as rows and as JSON, and whether a reader's own view was overturned."""

from collections.abc import Sequence
from typing import Any

from annotator.store.studies import Presentation
from annotator.studies import OwnView, StepKind, Study, StudyStep, View
from review.blinding import Redactor
from review.desk import Desk
from review.plan import opaque_token
from review.requests import InterpretationRequest

Steps = dict[StepKind, StudyStep]


def newest_steps(steps: Sequence[StudyStep]) -> Steps:
    """Return the step of each kind that counts."""
    return {step.step: step for step in steps}


def step_of(
    study: Study, case: Presentation, kind: StepKind, seconds: float | None, desk: Desk, **content: object
) -> StudyStep:
    """Return one step of a case as it is stored."""
    return StudyStep.model_validate(
        {
            "study_id": study.study_id,
            "token": case.token,
            "frame_id": case.frame_id,
            "prediction_id": case.slots[0].prediction_id,
            "reader": case.reader,
            "step": kind,
            "seconds": seconds,
            "created_at": desk.clock(),
            **content,
        }
    )


def view_after(asked: InterpretationRequest, own: OwnView, model_plane: str | None, *, is_plane_kept: bool) -> View:
    """Return what the reader takes the frame for after the model's text.

    Where the page does not ask, a plane that the reader left as the model wrote it is taken as accepted.
    """
    accepted = model_plane if is_plane_kept and model_plane is not None else own.plane
    return View(plane=asked.plane or accepted, normality=asked.normality or own.normality)


def overturns(own: OwnView, after: View) -> bool:
    """Tell whether the model's text changed the reader's mind on plane or normality."""
    return (own.plane, own.normality) != (after.plane, after.normality)


def steps_document(steps: Steps, secret: str, redact: Redactor) -> dict[str, Any]:
    """Return the steps that were taken, as the page shows them: what a runner wrote passes `redact`."""
    document: dict[str, Any] = dict.fromkeys(("own_view", "interpretation", "targets", "run", "geometry"))
    own, text = steps.get(StepKind.OWN_VIEW), steps.get(StepKind.INTERPRETATION)
    targets, run = steps.get(StepKind.TARGETS), steps.get(StepKind.RUN)
    geometry = steps.get(StepKind.GEOMETRY)
    if own and own.own_view:
        document["own_view"] = {**own.own_view.model_dump(mode="json"), "seconds": own.seconds}
    if text and text.text:
        view = text.text.view.model_dump(mode="json") if text.text.view else {}
        changed = {name: getattr(text.text.interpretation, name) for name in text.text.corrected_fields}
        document["interpretation"] = {"fields": changed, **view, "seconds": text.seconds}
    if targets and targets.targets:
        chosen = {"detect": list(targets.targets.detect), "segment": list(targets.targets.segment)}
        document["targets"] = {**chosen, "tier": targets.targets.tier, "seconds": targets.seconds}
    if run and run.run:
        document["run"] = {
            "run": opaque_token(secret, "run", run.run.run)[:16],
            "state": run.run.state,
            "line": redact(run.run.line),
        }
    if geometry and geometry.geometry:
        edit = geometry.geometry
        counts = {"removed": edit.removed, "relabelled": edit.relabelled, "accepted": edit.accepted}
        document["geometry"] = {**counts, "seconds": geometry.seconds}
    return document

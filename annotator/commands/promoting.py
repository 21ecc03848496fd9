"""`annotator models promote`, `rollback`, `versions`: which version serves, on what evidence, and the way back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator import jobs
from annotator.cli import Result
from annotator.commands.frozen import FrozenSet, frozen_set
from annotator.commands.models import TRAINABLE, chosen, open_backend, version_choice
from annotator.commands.training_jobs import margins_of
from annotator.commands.workspace import opened, progress, say
from annotator.errors import InputError, JobError
from annotator.learning import Decision, Margins, Promotion, TrainableBackend, model_folder
from annotator.schema import Frame, ModelVersion, Prediction
from annotator.settings import Settings, read_settings
from annotator.store import Store
from annotator.store.learning import add_promotion, promotions, serving_version
from annotator.store.versions import served_versions

if TYPE_CHECKING:
    from backends.opening import BackendChoice

JUDGE = "promotion"
RELEASE = "the release's own"


def promote(workspace: Path, name: str, decided_by: str = "command line") -> Result:
    """Hold a trained version against the one that serves, promote it or keep that one, and tell the reasons."""
    settings = read_settings()
    with opened(workspace, settings) as store:
        promotion = judge(store, settings, name, decided_by)
    verdict = "promoted" if promotion.decision is Decision.PROMOTED else "kept"
    serves = promotion.serving or RELEASE
    lines = [f"{verdict}: {serves} serves", *(f"  {reason}" for reason in promotion.reasons)]
    return Result(promotion.model_dump(mode="json"), "\n".join(lines))


def judge(store: Store, settings: Settings, name: str, decided_by: str) -> Promotion:
    """Compare a version with the one that serves on the frozen set, and append the decision: one row, in the end.

    Killed before that nothing is decided; the predictions made so far are used again. InputError where there is no
    such version or it serves already, JobError where another process judges.
    """
    from exports.metrics.cases import Case
    from exports.promotion import compare, decide

    candidate = trained_version(store, name)
    backend: TrainableBackend = "fada" if candidate.backend == "fada" else "embedded"
    with jobs.one_at_a_time(store, JUDGE):
        previous = serving_version(store, backend)
        if previous == name:
            raise InputError(f"{name} serves already")
        choice = chosen({"backend": backend})
        new_choice = version_choice(store, choice, name)
        old_choice = serving_before(store, choice, candidate, previous)
        frozen = frozen_set(store, [one.version for one in (old_choice, new_choice) if one.version])
        said_by = [_answers(store, settings, one, frozen) for one in (old_choice, new_choice)]
        old, new = (
            [Case(frame, label, said.get(frame.frame_id)) for frame, label in frozen.labelled] for said in said_by
        )
        margins, declared = _margins(candidate, settings)
        comparisons = compare(old, new, margins)
        decision, reasons = decide(comparisons)
        if serving_version(store, backend) != previous:
            raise JobError(f"another version serves since this began: judge {name} again")
        promotion = Promotion(
            backend=backend,
            candidate=name,
            previous=previous,
            serving=name if decision is Decision.PROMOTED else previous,
            decision=decision,
            reasons=(str(frozen), declared, *frozen.notes, *reasons),
            comparisons=comparisons,
            margins=margins,
            frozen_set=frozen.digest,
            decided_by=decided_by,
        )
        add_promotion(store, promotion)
    return promotion


def rollback(workspace: Path, backend: str | None = None, decided_by: str = "command line") -> Result:
    """Serve the version before again, or the release's own; without `backend`, that of the newest decision."""
    with opened(workspace) as store:
        made = [one for one in promotions(store, backend) if one.decision is not Decision.KEPT]
        before = served_versions(store, made[-1].backend)[1:] if made else []
        if not before:
            raise InputError(f"no {backend or 'trained'} version serves: there is nothing to go back from")
        last = made[-1]
        gone = [name for name in before if name and not model_folder(store.workspace, name).is_dir()]
        serving = next(name for name in before if name not in gone)
        reasons = [f"asked for; {name} was passed over, its files are gone" for name in gone] or ["asked for"]
        promotion = Promotion(
            backend=last.backend,
            candidate=last.serving or "",
            previous=last.serving,
            serving=serving,
            decision=Decision.ROLLED_BACK,
            reasons=tuple(reasons),
            decided_by=decided_by,
        )
        add_promotion(store, promotion)
    text = f"{serving or RELEASE} serves again, in place of {promotion.previous}; predictions stay as they are"
    return Result(promotion.model_dump(mode="json"), "\n".join([text, *(f"  {line}" for line in reasons[:9])]))


def list_versions(workspace: Path) -> Result:
    """List the versions of this workspace: parent, data, what was decided, which serve."""
    with opened(workspace) as store:
        decided = {one.candidate: one.decision.value for one in promotions(store)}
        serving = {backend: serving_version(store, backend) for backend in TRAINABLE}
        versions = [
            {
                "name": model.name,
                "backend": model.backend,
                "parent": model.parent,
                "dataset": model.dataset,
                "decision": decided.get(model.name),
                "serves": model.name == serving.get(model.backend),
                "has_files": model_folder(store.workspace, model.name).is_dir(),
            }
            for model in store.model_versions()
            if model.backend in TRAINABLE
        ]
    lines = [_row("", "version", "parent", "data set", "decision"), *map(_version_row, versions)]
    lines += [f"{backend}: {name or RELEASE} serves" for backend, name in serving.items()]
    return Result({"versions": versions, "serving": serving}, "\n".join(lines))


def serving_before(
    store: Store, choice: "BackendChoice", candidate: ModelVersion, previous: str | None
) -> "BackendChoice":
    """Return what serves. Where that is the release's own, an adapter to another base is held against its base."""
    from backends.opening import FADA_BASE

    if previous is not None:
        return version_choice(store, choice, previous)
    is_other_base = candidate.backend == "fada" and candidate.base != FADA_BASE
    return choice.model_copy(update={"model": candidate.base}) if is_other_base else choice


def trained_version(store: Store, name: str) -> ModelVersion:
    """Return a version that was trained here; InputError names those that were."""
    trained = {
        model.name: model
        for model in store.model_versions()
        if model.backend in TRAINABLE and (model.dataset or model_folder(store.workspace, model.name).is_dir())
    }
    if name not in trained:
        there = (
            f"there is: {', '.join(trained)}" if trained else "none was trained yet; see 'annotator train --help'"
        )
        raise InputError(f"no version {name!r} was trained in this workspace; {there}")
    return trained[name]


def _answers(store: Store, settings: Settings, choice: "BackendChoice", frozen: FrozenSet) -> dict[str, Prediction]:
    """Return what a version says of the frozen frames; what it said before is not asked again."""
    frames = [frame for frame, _ in frozen.labelled]
    if not frames:
        return {}
    known = _known(store, choice.version.name, frames) if choice.version else {}
    if len(known) == len(frames):
        return known
    say(f"asking {choice.version.name if choice.version else choice.model or RELEASE}")
    model = open_backend(choice, settings)
    known = _known(store, model.model.name, frames)
    missing = [frame.frame_id for frame in frames if frame.frame_id not in known]
    if missing:
        job_id = jobs.queue_job(store, JUDGE, model.model.name, missing)
        with progress(len(missing), f"asking {model.model.name}") as bar:
            report = jobs.run_job(store, job_id, model, batch_size=settings.batch_size, on_done=bar.update)
        for frame_id, reason in list(report.failures.items())[:5]:
            say(f"{model.model.name} failed on {frame_id}, which counts as 0: {reason}")
    return _known(store, model.model.name, frames)


def _known(store: Store, version: str, frames: Sequence[Frame]) -> dict[str, Prediction]:
    found = store.newest_predictions(version, frame_ids=[frame.frame_id for frame in frames])
    return {prediction.frame_id: prediction for prediction in found}


def _margins(candidate: ModelVersion, settings: Settings) -> tuple[Margins, str]:
    """Those that were declared when the training was queued, so that no result can move them."""
    now = margins_of(settings)
    declared = candidate.settings.get("margins")
    if declared is None:
        return now, f"margins {_written(now)}, those of the settings"
    margins = Margins.model_validate(declared)
    changed = "" if margins == now else f"; the settings say {_written(now)} now"
    return margins, f"margins {_written(margins)}, declared when its training was queued{changed}"


def _written(margins: Margins) -> str:
    return f"Dice {margins.dice:g}, detection {margins.detection:g}, plane {margins.plane:g}"


def _version_row(version: Mapping[str, Any]) -> str:
    was_trained = version["dataset"] or version["has_files"]
    fate = version["decision"] or ("not judged" if was_trained else "not trained here")
    fate += ", its files are gone" if version["dataset"] and not version["has_files"] else ""
    mark = "*" if version["serves"] else ""
    return _row(mark, version["name"], version["parent"] or "", version["dataset"] or "", fate)


def _row(mark: str, name: str, parent: str, dataset: str, decision: str) -> str:
    return f"{mark:1} {name:24} {parent:24} {dataset:32} {decision}".rstrip()

"""`annotator train`: a training on what was corrected, its state, its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from annotator.cli import Result
from annotator.commands.training_jobs import NothingToLearnError, Wish, queue_from_store
from annotator.commands.training_runs import TRAIN, log_path, work_off
from annotator.commands.workspace import opened, progress, say
from annotator.errors import InputError, JobError
from annotator.learning import OPEN_STATES, TrainableBackend, TrainingRun, TrainingState
from annotator.settings import Settings, read_settings
from annotator.store import Store
from annotator.store.learning import cancel_training, training_run, training_runs

FAILURES = (TrainingState.FAILED, TrainingState.CANCELLED)


def train_on_corrections(
    workspace: Path,
    backend: TrainableBackend,
    which: str = "corrected",
    least: int | None = None,
    seed: int = 0,
    changes: Sequence[str] = (),
    queue_only: bool = False,
) -> Result:
    """Queue a training on what is labelled now and, unless `queue_only`, work the queue off here.

    `changes` are settings of the trainer, each NAME=VALUE. With too few new corrections nothing is queued.
    """
    settings = read_settings()
    wish = Wish(backend, which, least, seed, parse_changes(changes), asked_by="command line")
    with opened(workspace, settings) as store:
        try:
            run = queue_from_store(store, settings, wish)
        except NothingToLearnError as error:
            return Result({"queued": None, "reason": str(error)}, str(error), exit_code=1)
        if not queue_only:
            run = _worked_off(store, settings, run)
        return _one(store, run)


def train_resume(workspace: Path) -> Result:
    """Work off what is queued, going on where a process was killed; another process at it is no error."""
    settings = read_settings()
    with opened(workspace, settings) as store:
        try:
            finished = work_off(store, settings, Bars())
        except JobError as error:  # whoever trains works this off too
            return Result({"trainings": [], "reason": str(error)}, str(error))
        document = {"trainings": [_document(store, run) for run in finished]}
    lines = [_line(run) for run in finished] or ["no training is queued"]
    failed = any(run.state is TrainingState.FAILED for run in finished)
    return Result(document, "\n".join(lines), exit_code=int(failed))


def train_status(workspace: Path) -> Result:
    """Say how the newest trainings stand."""
    with opened(workspace) as store:
        runs = training_runs(store)
        document = {"trainings": [_document(store, run) for run in runs]}
    return Result(document, "\n".join(map(_line, runs)) or "no training was queued yet")


def train_cancel(workspace: Path, run_id: str) -> Result:
    """Stop a training: at once while it waits, else at its next step."""
    with opened(workspace) as store:
        run = cancel_training(store, run_id)
        return _one(store, run)


def parse_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is JSON is taken as such.

    >>> parse_changes(["epochs=2", "preset=hybrid"])
    {'epochs': 2, 'preset': 'hybrid'}
    """
    found: dict[str, Any] = {}
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or not name:
            raise InputError(f"a setting must be NAME=VALUE, not {change!r}")
        try:
            found[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[name] = value
    return found


def _worked_off(store: Store, settings: Settings, run: TrainingRun) -> TrainingRun:
    try:
        work_off(store, settings, Bars())
    except JobError as error:
        if training_run(store, run.run_id).state not in OPEN_STATES:
            raise
        say(f"{error}: {run.run_id} is queued and follows it")
    return training_run(store, run.run_id)


class Bars:
    """Shows the trainings' steps, a bar for each."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __call__(self, run: TrainingRun, step: int, total: int, message: str) -> None:
        """Show one step."""
        bar = self._bars.get(run.run_id)
        if bar is None:
            bar = self._bars[run.run_id] = progress(total, f"{TRAIN} {run.backend}", "step")
        bar.total = total
        bar.set_postfix_str(message, refresh=False)
        bar.update(step - bar.n)
        if step >= total:
            bar.refresh()


def _one(store: Store, run: TrainingRun) -> Result:
    return Result(_document(store, run), _line(run), exit_code=int(run.state is TrainingState.FAILED))


def _document(store: Store, run: TrainingRun) -> dict[str, Any]:
    return run.model_dump(mode="json") | {"log": str(log_path(store.workspace, run.run_id))}


def _line(run: TrainingRun) -> str:
    done = f" {run.step}/{run.total}" if run.state is TrainingState.RUNNING and run.total else ""
    told = f": {run.message}" if run.message else ""
    return f"{run.run_id} {run.backend} {run.state}{done}{told}"

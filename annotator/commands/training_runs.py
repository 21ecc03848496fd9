"""Works a queued training off: checks its data, trains beside the versions, keeps the result whole or not at all.

A run that was killed is marked as running still; the next process goes on from its checkpoint. A version counts
only once it is in the store: a folder without a row is adopted by its own run, or replaced.
"""

import errno
import platform
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed_version
from pathlib import Path

from annotator import __version__, jobs
from annotator.commands.trainers import TRAINERS, Made, Trainer
from annotator.commands.training_jobs import changed_since, take_in_request
from annotator.errors import AnnotatorError, JobError
from annotator.learning import TrainingRun, TrainingState, model_folder
from annotator.schema import ModelVersion, utc_now
from annotator.settings import Settings
from annotator.store import Links, Store
from annotator.store.learning import finish_training, next_training, note_progress, training_run

TRAIN = "train"
STARTS_ALLOWED = 3
NOTE_EVERY_S = 1.0

Hear = Callable[[TrainingRun, int, int, str], None]


class CancelledError(JobError):
    """Somebody asked the training to stop."""


def work_off(
    store: Store,
    settings: Settings,
    hear: Hear = lambda *_: None,
    trainers: Mapping[str, Trainer] = TRAINERS,
) -> list[TrainingRun]:
    """Queue what was asked for and train until nothing is queued; JobError where another process trains already."""
    with jobs.one_at_a_time(store, TRAIN):
        take_in_request(store, settings)
        finished = []
        while (run := next_training(store)) is not None:
            finished.append(run_training(store, run, settings.threads, hear, trainers[run.backend]))
        return finished


def run_training(store: Store, run: TrainingRun, threads: int, hear: Hear, trainer: Trainer) -> TrainingRun:
    """Train; every end but being killed is noted with its reason in one line."""
    log = log_path(store.workspace, run.run_id)
    progress = _Progress(store, run, log, hear)
    model = None
    try:
        _count_start(store, run)
        model = _make(store, run, threads, progress, trainer)
        state, message = TrainingState.DONE, f"made {model.name}"
    except CancelledError as error:
        state, message = TrainingState.CANCELLED, str(error)
    except Exception as error:  # a trainer may fail in any way; this is its entry point
        state, message = TrainingState.FAILED, _reason(error)
        _write(log, traceback.format_exc())
    finish_training(store, run.run_id, state, message, model)
    _write(log, f"{state}: {message}\n")
    shutil.rmtree(partial_folder(store.workspace, run.run_id), ignore_errors=True)
    return training_run(store, run.run_id)


def partial_folder(workspace: Path, run_id: str) -> Path:
    """Return where a training works until its version is whole."""
    return model_folder(workspace.absolute(), f".partial-{run_id}")


def log_path(workspace: Path, run_id: str) -> Path:
    """Return the log of a training."""
    return workspace / "logs" / f"train-{run_id}.log"


def _make(store: Store, run: TrainingRun, threads: int, progress: "_Progress", trainer: Trainer) -> ModelVersion:
    kept = Links(store).setting(_kept_key(run))
    if kept is not None:
        model = ModelVersion.model_validate(kept)
        if model_folder(store.workspace, model.name).is_dir():
            return model  # it was moved to its place, but the process died before that was noted
    changed = changed_since(run.spec.dataset_folder, run.spec.dataset_hash)
    if changed:
        raise JobError(f"the data set {run.spec.dataset} does not hold any more: {changed[0]}; train again")
    partial = partial_folder(store.workspace, run.run_id)
    partial.mkdir(parents=True, exist_ok=True)
    made = trainer(run, partial, threads, progress)
    model = _model_version(run, made, threads)
    _keep(store, run, model, partial)
    return model


def _keep(store: Store, run: TrainingRun, model: ModelVersion, partial: Path) -> None:
    """Move the files to where their version is looked for; equal ones that are known already stay."""
    Links(store).set_setting(_kept_key(run), model.model_dump(mode="json"))
    folder = model_folder(store.workspace, model.name)
    is_known = any(known.name == model.name for known in store.model_versions())
    if folder.is_dir() and not is_known:
        shutil.rmtree(folder)
    if not folder.is_dir():
        partial.rename(folder)


def _kept_key(run: TrainingRun) -> str:
    return f"training.kept.{run.run_id}"


def _model_version(run: TrainingRun, made: Made, threads: int) -> ModelVersion:
    spec = run.spec
    return ModelVersion(
        name=f"{run.backend}-{made.content_hash[:8]}",
        backend=run.backend,
        base=made.base,
        content_hash=made.content_hash,
        parent=made.parent,
        dataset=spec.dataset,
        settings={
            "trainer": spec.settings,
            "margins": spec.margins.model_dump(),
            "seed": spec.seed,
            "dataset_hash": spec.dataset_hash,
            "new_corrections": spec.new_corrections,
            "run": run.run_id,
            "environment": _environment(threads),
        },
    )


def _environment(threads: int) -> Mapping[str, str | int]:
    return {
        "annotator": __version__,
        "python": platform.python_version(),
        "torch": installed_version("torch"),
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": threads,
    }


class _Progress:
    """Hears of every step of a trainer, notes some of them, and stops it where that was asked for."""

    def __init__(self, store: Store, run: TrainingRun, log: Path, hear: Hear) -> None:
        self._store, self._run, self._log, self._hear = store, run, log, hear
        self._next_note = 0.0
        self._message = ""

    def __call__(self, step: int, total: int, message: str = "") -> bool:
        """Raises CancelledError where the training is to end; True else."""
        self._hear(self._run, step, total, message)
        if time.monotonic() < self._next_note and message == self._message and step < total:
            return True
        self._next_note, self._message = time.monotonic() + NOTE_EVERY_S, message
        _write(self._log, f"{step}/{total} {message}\n")
        if not note_progress(self._store, self._run.run_id, step, total, message):
            raise CancelledError(f"cancelled at step {step} of {total}")
        return True


def _count_start(store: Store, run: TrainingRun) -> None:
    """A training that kills its process each time, for want of memory for example, is given up."""
    links, key = Links(store), f"training.starts.{run.run_id}"
    before = links.setting(key) or {"starts": 0, "step": 0}
    starts = before["starts"] + 1 if run.step == before["step"] else 1
    links.set_setting(key, {"starts": starts, "step": run.step})
    if starts > STARTS_ALLOWED:
        raise JobError(f"the process died {STARTS_ALLOWED} times at step {run.step}: is there enough memory?")


def _reason(error: Exception) -> str:
    if isinstance(error, AnnotatorError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: free some space and train again"
    text = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text:
        return "out of memory: use smaller batches, or a machine with more of it, and train again"
    return f"{type(error).__name__}: {text}"


def _write(log: Path, text: str) -> None:
    """A log that cannot be written stops no training."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{utc_now():%Y-%m-%d %H:%M:%S} {text}")
    except OSError:
        return

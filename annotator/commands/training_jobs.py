"""From corrections to a queued training: what is new, the data set to learn from, what a webhook asked for."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from annotator.commands.datasets import write_dataset
from annotator.commands.exporting import export_as_conversations, planned_splits, said_of
from annotator.commands.fetching import fetch_corrections
from annotator.commands.trainers import CONVERSATIONS_HASH, check_trainer_settings, conversations_folder
from annotator.datasets import DatasetVersion
from annotator.errors import AnnotatorError, InputError, JobError
from annotator.files import exclusive_lock
from annotator.learning import Margins, TrainableBackend, TrainingRun, TrainingSpec, TrainingState, model_folder
from annotator.schema import ModelVersion, utc_now
from annotator.settings import Settings
from annotator.store import Links, Store
from annotator.store.datasets import add_dataset_version, dataset_versions
from annotator.store.learning import queue_training, serving_version, training_runs
from annotator.store.studies import frozen_frame_ids

ASKED, NOTE = "training.asked", "training.note"


class NothingToLearnError(JobError):
    """A training is not begun, for want of new corrections; no fault of anything."""


@dataclass(frozen=True)
class Wish:
    """A training as somebody asked for it; `least` None is the settings', `settings` are the trainer's."""

    backend: TrainableBackend = "embedded"
    which: str = "corrected"
    least: int | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked_by: str = ""


def queue_from_store(store: Store, settings: Settings, wish: Wish) -> TrainingRun:
    """Write the data set and queue a training on it; one that is open already and equal is returned instead.

    NothingToLearnError where too little is new, JobError where another training of the backend is open or the
    serving version has lost its files, InputError where a setting of the trainer is wrong.
    """
    chosen = dict(settings.training) | dict(wish.settings)
    check_trainer_settings(wish.backend, chosen)
    parent, folder = _parent(store, wish.backend)
    new = count_new(store, wish.which, wish.backend)
    least = settings.least_corrections if wish.least is None else wish.least
    if new < least:
        raise NothingToLearnError(_missing(new, least))
    with exclusive_lock(store.workspace / "locks" / "training-data.lock", "writing a data set for training"):
        version = write_training_data(store, wish.which)
        if wish.backend == "fada":
            chosen[CONVERSATIONS_HASH] = write_conversations(store, wish.which, Path(version.folder))
    spec = TrainingSpec(
        backend=wish.backend,
        dataset=version.dataset_id,
        dataset_folder=Path(version.folder),
        dataset_hash=version.content_hash,
        parent=parent.name if parent else None,
        parent_folder=folder,
        seed=wish.seed,
        settings=chosen,
        margins=margins_of(settings),
        new_corrections=new,
        asked_by=wish.asked_by,
    )
    _refuse_a_repetition(store, spec)
    return queue_training(store, spec)


def margins_of(settings: Settings) -> Margins:
    """Return the margins that the settings declare."""
    return Margins(dice=settings.margin_dice, detection=settings.margin_detection, plane=settings.margin_plane)


def count_new(store: Store, which: str, backend: TrainableBackend) -> int:
    """Count the frames settled since the last training of the backend wrote its data set; never those of studies.

    Whether its version was promoted does not matter: to try again on the same frames would be fishing.
    """
    since, frozen = _trained_at(store, backend), frozen_frame_ids(store)
    return sum(
        1
        for said in said_of(store, which)
        if said.frame_id not in frozen and (since is None or said.created_at > since)
    )


def missing_corrections(store: Store, settings: Settings, wish: Wish) -> int:
    """Return how many more frames must be corrected before a training, 0 where it may begin."""
    least = settings.least_corrections if wish.least is None else wish.least
    return max(least - count_new(store, wish.which, wish.backend), 0)


def write_training_data(store: Store, which: str) -> DatasetVersion:
    """Write what is labelled now to `datasets/<id>` of the workspace, whole or not at all, and note it."""
    home = store.workspace.absolute() / "datasets"
    partial = home / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    version = write_dataset(store, partial, which, f"training-{which}", planned_splits(store, which), {})
    folder = home / version.dataset_id
    if changed_since(folder, version.content_hash):
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)
    version = version.model_copy(update={"folder": str(folder)})
    add_dataset_version(store, version)
    return version


def changed_since(folder: Path, content_hash: str) -> list[str]:
    """Return what is not as it was in a data set of this hash, a line each."""
    from exports.manifest import changes_of, read_version

    try:
        if read_version(folder).content_hash != content_hash:
            return [f"{folder} holds another version of the data set"]
        return list(changes_of(folder))
    except (InputError, OSError) as error:
        return [str(error)]


def write_conversations(store: Store, which: str, dataset_folder: Path) -> str:
    """Write the conversations of a language model's training; return the SHA-256 of their file."""
    from exports.conversations import FILE_NAME
    from exports.manifest import hash_file

    folder = conversations_folder(dataset_folder)
    export_as_conversations(store.workspace, folder, which, None, None, None)
    return hash_file(folder / FILE_NAME)


def ask_for_training(store: Store, backend: str, asked_by: str) -> bool:
    """Note that somebody pressed the button; True where nobody had before. Takes no time: others do the work."""
    links = Links(store)
    if links.setting(ASKED):
        return False
    links.set_setting(ASKED, {"backend": backend, "asked_by": asked_by, "at": utc_now().isoformat()})
    return True


def take_in_request(store: Store, settings: Settings) -> TrainingRun | None:
    """Queue what was asked for by `ask_for_training`; why it was not queued is noted for the status page."""
    links = Links(store)
    asked = links.setting(ASKED)
    if not asked:
        return None
    fetch_corrections(store)
    try:
        run = queue_from_store(store, settings, Wish(asked["backend"], asked_by=asked["asked_by"]))
        note = ""
    except (AnnotatorError, OSError) as error:
        run, note = None, " ".join(str(error).split())
    links.set_setting(NOTE, {"text": note, "at": utc_now().isoformat()})
    links.set_setting(ASKED, None)
    return run


def _parent(store: Store, backend: TrainableBackend) -> tuple[ModelVersion | None, Path | None]:
    """The version that serves, and its files; None for the one of the release."""
    name = serving_version(store, backend)
    if name is None:
        return None, None
    folder = model_folder(store.workspace.absolute(), name)
    if not folder.is_dir():
        raise JobError(f"{name} serves, but its files are not in {folder}: put them back or go back to another one")
    known = {model.name: model for model in store.model_versions()}
    return known[name], folder


def _trained_at(store: Store, backend: TrainableBackend) -> datetime | None:
    """When the newest data set was written from which a version of this backend was made that is still there."""
    learnt = {
        model.dataset
        for model in store.model_versions()
        if model.backend == backend and model_folder(store.workspace, model.name).is_dir()
    }
    found = [version.created_at for version in dataset_versions(store) if version.dataset_id in learnt]
    return max(found, default=None)


def _missing(new: int, least: int) -> str:
    have = f"{new} are new since the last training, one needs {least} (--least)"
    return f"{least - new} more corrected frames are needed: {have}"


def _refuse_a_repetition(store: Store, spec: TrainingSpec) -> None:
    """The same data, parent, settings and seed give the same version: nothing would come of it."""
    mine = spec.model_dump(exclude={"asked_by", "new_corrections", "margins"})
    for run in training_runs(store, limit=200):
        same = run.spec.model_dump(exclude={"asked_by", "new_corrections", "margins"}) == mine
        made = run.model_version
        if same and run.state is TrainingState.DONE and made and model_folder(store.workspace, made).is_dir():
            raise NothingToLearnError(f"nothing is new: training {run.run_id} made {made} of the same corrections")

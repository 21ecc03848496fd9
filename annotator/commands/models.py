"""`preannotate`, `evaluate` and `train`: what needs a model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from annotator import jobs
from annotator.cli import Result
from annotator.commands.evaluating_models import cases_of, references
from annotator.commands.workspace import opened, progress, say
from annotator.errors import InputError
from annotator.learning import model_folder
from annotator.schema import Backend
from annotator.settings import Settings, read_settings
from annotator.store import Store
from annotator.store.learning import serving_version

if TYPE_CHECKING:
    from backends.opening import BackendChoice

TRAINABLE = ("embedded", "fada")


def chosen(choice: Mapping[str, Any]) -> "BackendChoice":
    """Make the command line's options a BackendChoice; InputError names the one that cannot be used."""
    from backends.opening import BackendChoice

    key = _key_for(choice.get("url"))
    try:
        return BackendChoice(**choice, api_key=SecretStr(key) if key else None)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def serving_choice(store: Store, choice: "BackendChoice") -> "BackendChoice":
    """Put the promoted version in place of the release's, unless a model or adapter was asked for by name.

    InputError where the promoted version has lost its files.
    """
    if not follows_promotions(choice):
        return choice
    name = serving_version(store, choice.backend)
    return choice if name is None else version_choice(store, choice, name)


def follows_promotions(choice: "BackendChoice") -> bool:
    """Tell whether what is promoted answers, and not a model that was asked for by name."""
    return choice.backend in TRAINABLE and not choice.model and not choice.adapter


def version_choice(store: Store, choice: "BackendChoice", name: str) -> "BackendChoice":
    """Return the choice of a trained version; InputError where there is no such one, or its files are gone."""
    version = next((model for model in store.model_versions() if model.name == name), None)
    if version is None or version.backend != choice.backend:
        raise InputError(
            f"{name} is no {choice.backend} version of this workspace; see 'annotator models versions'"
        )
    folder = model_folder(store.workspace.absolute(), name)
    if not folder.is_dir():
        raise InputError(
            f"the files of {name} are not in {folder}: put them back, or go back to the version before with "
            f"'annotator models rollback --backend {choice.backend}'"
        )
    if version.backend == "embedded":
        return choice.model_copy(update={"version": version, "model": str(folder)})
    return choice.model_copy(update={"version": version, "model": version.base, "adapter": str(folder)})


def _key_for(url: str | None) -> str | None:
    """Return the key that was meant for `url`: a provider's own variable never goes to another address."""
    from backends.catalog import catalog

    for provider in catalog().providers.values() if url else ():
        if provider.base_url and provider.key_variable and str(url).startswith(provider.base_url):
            return os.environ.get(provider.key_variable) or os.environ.get("ANNOTATOR_REMOTE_API_KEY")
    return os.environ.get("ANNOTATOR_REMOTE_API_KEY") if url else None


def as_arguments(choice: Mapping[str, Any]) -> list[str]:
    """Write a choice as the options that another command takes."""
    arguments = []
    for key, value in choice.items():
        option = "--4bit" if key == "four_bit" else f"--{key.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif value not in (None, False):
            arguments += [option, str(value)]
    return arguments


def open_backend(choice: "BackendChoice", settings: Settings) -> Backend:
    """Load a model in this process."""
    from backends import opening

    return opening.open_backend(choice, threads=settings.threads)


def preannotate_frames(
    workspace: Path, choice: Mapping[str, Any], limit: int | None, split: str | None, redo: bool
) -> Result:
    """Run the frames that lack a prediction of this model version, or all with `redo`."""
    settings, backend = read_settings(), chosen(choice)
    with opened(workspace, settings) as store:
        model = open_backend(serving_choice(store, backend), settings)
        report = run_preannotation(store, model, settings, limit, split, redo)
    document = {
        "job": report.job_id,
        "backend": backend.backend,
        "model_version": report.target,
        **report.counts,
        "failures": report.failures,
    }
    lines = [f"{report.counts['done']} frames pre-annotated by {report.target}, {report.counts['failed']} failed"]
    lines += [f"  {frame_id}: {reason}" for frame_id, reason in list(report.failures.items())[:20]]
    everything_failed = report.counts["failed"] > 0 and not report.counts["done"]
    return Result(document, "\n".join(lines), exit_code=1 if everything_failed else 0)


def run_preannotation(
    store: Store,
    model: Backend,
    settings: Settings,
    limit: int | None = None,
    split: str | None = None,
    redo: bool = False,
) -> jobs.JobReport:
    """Queue what is missing and work it off with a progress bar."""
    version = model.model.name
    with jobs.one_at_a_time(store, jobs.PREANNOTATE):
        known = set() if redo else {item.frame_id for item in store.newest_predictions(version)}
        wanted = [frame.frame_id for frame in store.frames(split) if frame.frame_id not in known][:limit]
        job_id = jobs.queue_job(store, jobs.PREANNOTATE, version, wanted)
        before = jobs.job_report(store, job_id).counts
        finished = before["done"] + before["failed"]
        if finished:
            say(f"going on with a run that was stopped: {finished} frames were finished before")
        with progress(sum(before.values()) - finished, "pre-annotating") as bar:
            return jobs.run_job(store, job_id, model, batch_size=settings.batch_size, on_done=bar.update)


def evaluate_backend(workspace: Path, choice: Mapping[str, Any], against: str, split: str | None) -> Result:
    """Compare a model's newest predictions with the reference standard or with the readers' corrections."""
    from exports.evaluate import evaluate_cases
    from exports.evaluation_text import as_text

    settings, backend = read_settings(), chosen(choice)
    with opened(workspace, settings) as store:
        frames, truths = references(store, against, split)
        model = open_backend(backend, settings)
        run_preannotation(store, model, settings, split=split)
        cases = cases_of(frames, truths, store.newest_predictions(model.model.name))
    document = {
        "backend": backend.backend,
        "model_version": model.model.name,
        "against": against,
        "split": split,
        **evaluate_cases(cases),
    }
    return Result(document, as_text(document))


def train_embedded_networks(workspace: Path, data_dir: Path, out: Path | None, seed: int) -> Result:
    """Train the embedded networks from scratch."""
    from backends.training.embedded import train_embedded

    folder = out or workspace / "models" / "embedded"
    summary = train_embedded(data_dir, folder, seed=seed)
    return Result({"weights": str(folder), **summary}, f"weights, model card and training curve are in {folder}")

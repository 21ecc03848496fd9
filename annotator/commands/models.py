"""`preannotate`, `evaluate` and `train`: what needs a model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from annotator import jobs
from annotator.cli import Result
from annotator.commands.workspace import opened, progress, say
from annotator.errors import InputError
from annotator.schema import Backend
from annotator.settings import Settings, read_settings
from annotator.store import Store

if TYPE_CHECKING:
    from backends.opening import BackendChoice


def chosen(choice: Mapping[str, Any]) -> "BackendChoice":
    """Make the command line's options a BackendChoice; InputError names the one that cannot be used."""
    from backends.opening import BackendChoice

    key = _key_for(choice.get("url"))
    try:
        return BackendChoice(**choice, api_key=SecretStr(key) if key else None)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


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
        report = run_preannotation(store, open_backend(backend, settings), settings, limit, split, redo)
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
    from exports.evaluate import Case, evaluate_cases

    settings, backend = read_settings(), chosen(choice)
    with opened(workspace, settings) as store:
        frames = {frame.frame_id: frame for frame in store.frames(split)}
        truths = [
            truth for truth in store.newest_corrections(is_truth=against == "truth") if truth.frame_id in frames
        ]
        if not truths:
            raise InputError(
                f"no frame{f' of split {split}' if split else ''} has a {against} annotation to compare with"
            )
        model = open_backend(backend, settings)
        run_preannotation(store, model, settings, split=split)
        said = {item.frame_id: item for item in store.newest_predictions(model.model.name)}
    cases = [Case(frames[truth.frame_id], truth, said.get(truth.frame_id)) for truth in truths]
    figures = evaluate_cases(cases)
    document = {
        "backend": backend.backend,
        "model_version": model.model.name,
        "against": against,
        "split": split,
        **figures,
    }
    return Result(document, _figures_as_text(document))


def _figures_as_text(document: dict[str, object]) -> str:
    lines = []
    for name, figure in document.items():
        if isinstance(figure, dict) and "ci95" in figure:
            low, high = figure["ci95"]
            lines.append(f"{name:34} {figure['value']:.4f}  ({low:.4f}-{high:.4f}), n = {figure['n']}")
        elif isinstance(figure, dict):
            lines.append(f"{name}:")
            lines += [f"  {line}" for line in _figures_as_text(figure).splitlines()]
        else:
            lines.append(f"{name:34} {figure:.4f}" if isinstance(figure, float) else f"{name:34} {figure}")
    return "\n".join(lines)


def train_embedded_networks(workspace: Path, data_dir: Path, out: Path | None, seed: int) -> Result:
    """Train the embedded networks from scratch."""
    from backends.training.embedded import train_embedded

    folder = out or workspace / "models" / "embedded"
    summary = train_embedded(data_dir, folder, seed=seed)
    return Result({"weights": str(folder), **summary}, f"weights, model card and training curve are in {folder}")

"""A trainer small enough to be killed at every step, and workspaces with corrections to train on."""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator.commands import looping_steps
from annotator.commands.looping import run_loop
from annotator.commands.looping_steps import Means
from annotator.commands.trainers import Made, Progress
from annotator.commands.training_jobs import Wish, queue_from_store
from annotator.commands.training_runs import work_off
from annotator.learning import Decision, LoopStep, Promotion, TrainableBackend, TrainingRun
from annotator.schema import Frame
from annotator.settings import Settings, read_settings
from annotator.store import Store
from annotator.store.learning import add_promotion, serving_version
from annotator.store.studies import Studies
from annotator.studies import Study, StudyCase
from tests.builders import a_correction, a_mask, a_masked_finding, a_prediction, keep_frames

STEPS = 5
WEIGHTS = "weights.bin"


def correct(store: Store, frames: Sequence[Frame], reader: str = "anna", **more: Any) -> None:
    """A reader outlines the head in some frames."""
    more.setdefault("plane", "Trans-thalamic")
    store.add_corrections(
        [a_correction(frame, reader, **({"findings": (a_masked_finding(a_mask()),)} | more)) for frame in frames]
    )


def corrected_frames(store: Store, count: int, *, first_seed: int = 0) -> list[Frame]:
    """Frames that a reader has corrected."""
    frames = keep_frames(store, count, first_seed=first_seed)
    correct(store, frames)
    return frames


def a_settings(**more: Any) -> Settings:
    """Settings under which a few corrections are enough."""
    return read_settings().model_copy(update={"least_corrections": 4, **more})


def scripted(run: TrainingRun, out: Path, threads: int, progress: Progress, *, pause_s: float = 0.0) -> Made:
    """Write down, step by step, what it learns from; it goes on where the file in `out` ends."""
    weights = out / WEIGHTS
    done = weights.read_bytes().count(b"\n") if weights.exists() else 0
    for step in range(done + 1, STEPS + 1):
        progress(step - 1, STEPS, "learning")
        time.sleep(pause_s)
        with weights.open("a") as stream:
            stream.write(f"{run.spec.dataset_hash} {run.spec.seed} {step}\n")
        (out / "started_by").write_text(str(os.getpid()))
    progress(STEPS, STEPS, "learnt")
    (out / "started_by").unlink(missing_ok=True)
    return Made("scripted", hashlib.sha256(weights.read_bytes()).hexdigest(), run.spec.parent)


def freeze(store: Store, frames: Sequence[Frame]) -> None:
    """Show some frames in a reader study."""
    cases = tuple(StudyCase(frame_id=frame.frame_id, prediction_ids=(None,)) for frame in frames)
    facts: dict[str, Any] = {"name": "pilot", "title": "Study", "algorithm": "x", "secret": "s", "rubric": "1"}
    with Studies(store).writing() as rows:
        rows.add_study(Study(batches=(cases,), versions=("v1",), readers=("anna",), **facts))


def queued(store: Store, **wish: Any) -> TrainingRun:
    return queue_from_store(store, a_settings(), Wish(**wish))


def train(store: Store, trainer: Any = scripted) -> list[TrainingRun]:
    return work_off(store, a_settings(), trainers={"embedded": trainer, "fada": trainer})


def train_slowly(workspace: Path, url: str | None, begun: Any, pause_s: float) -> None:
    """Work off what is queued, slowly enough to be killed in the middle."""
    store = Store(workspace, url)

    def slow(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        def told(step: int, total: int, message: str) -> bool:
            begun.set() if step >= 2 else None
            return progress(step, total, message)

        return scripted(run, out, threads, told, pause_s=pause_s)

    train(store, slow)
    store.close()


def promote_at_once(workspace: Path, name: str) -> None:
    """Promote without looking."""
    store = Store(workspace)
    add_promotion(store, Promotion(backend="embedded", candidate=name, serving=name, decision=Decision.PROMOTED))
    store.close()


def predict_all(store: Store, settings: Settings, backend: TrainableBackend) -> None:
    """What serves predicts every frame that it has not predicted yet."""
    name = serving_version(store, backend) or ""
    known = {said.frame_id for said in store.newest_predictions(name)}
    said = [a_prediction(frame, name) for frame in store.frames() if frame.frame_id not in known]
    with store.writing() as connection:
        store.add_predictions(connection, said)


SCRIPTED = Means({"embedded": scripted}, promote_at_once, predict_all)


def loop(workspace: Path, **options: Any) -> Any:
    """One call of the loop as a scheduler makes it, with scripted means."""
    options = {"wait_s": 0.0, "least": 4, "size": 4, "means": SCRIPTED} | options
    return run_loop(workspace, **options)


def loop_to_death(workspace: Path, place: str) -> None:
    """Call the loop; the process kills itself at a place: in a stage, or when its work is done but not noted."""

    def die(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        def told(step: int, total: int, message: str) -> bool:
            return die() if step == 3 else progress(step, total, message)

        return scripted(run, out, threads, told)

    append = looping_steps.add_loop_step

    def append_unless(store: Store, step: LoopStep) -> None:
        if step.stage == place:
            die()
        append(store, step)

    looping_steps.add_loop_step = append_unless
    means = {
        "training": Means({"embedded": half}, promote_at_once, predict_all),
        "promoting": Means({"embedded": scripted}, die, predict_all),
        "predicting": Means({"embedded": scripted}, promote_at_once, die),
    }
    loop(workspace, means=means.get(place, SCRIPTED))

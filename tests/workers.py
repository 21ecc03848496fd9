"""What tests run in processes of their own, to be run side by side or killed."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from annotator import jobs
from annotator.errors import AnnotatorError
from annotator.schema import LoadedFrame, Prediction
from annotator.store import Store
from tests.builders import ScriptedBackend, a_correction, a_frame, a_prediction

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.workers"])


def start(target: Any, *args: Any) -> ForkServerProcess:
    """Start a worker; daemonic, so that none outlives a failing test."""
    process = CONTEXT.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def write_many(workspace: Path, url: str | None, worker: int, count: int) -> None:
    """Write `count` frames, corrections and predictions, one transaction each."""
    store = Store(workspace, url)
    for number in range(count):
        frame = a_frame(seed=1000 * worker + number, name=f"w{worker}-{number}.png")
        store.add_frames([frame])
        store.add_corrections([a_correction(frame, reader=f"reader{worker}", external_id=f"{worker}-{number}")])
        with store.writing() as connection:
            store.add_predictions(connection, [a_prediction(frame)])
    store.close()


def open_and_close(workspace: Path, url: str | None, gate: Any, errors: Any) -> None:
    """Open a workspace at the same moment as others do."""
    gate.wait()
    try:
        Store(workspace, url).close()
    except AnnotatorError as error:
        errors.put(str(error))


def _slow_answer(batch: Sequence[LoadedFrame]) -> list[Prediction]:
    time.sleep(0.003 * len(batch))
    return [a_prediction(loaded.frame, "scripted-1") for loaded in batch]


def work_off(workspace: Path, url: str | None, job_id: str, begun: Any) -> None:
    """Run a job slowly enough to be killed in the middle."""
    store = Store(workspace, url)
    begun.set()
    with jobs.one_at_a_time(store, jobs.PREANNOTATE):
        jobs.run_job(store, job_id, ScriptedBackend(_slow_answer), batch_size=4)
    store.close()


def hold_lock(workspace: Path, held: Any) -> None:
    """Hold the lock of pre-annotation until killed."""
    with jobs.one_at_a_time(Store(workspace), jobs.PREANNOTATE):
        held.set()
        time.sleep(60)

"""Queued work that survives being killed: each frame is queued, running, done or failed, and says why.

A frame that was running when its process died is tried alone, after all others, and given up after many deaths.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from annotator.errors import AnnotatorError, BackendError, FrameError, StoreError
from annotator.files import exclusive_lock
from annotator.frames import load_frame
from annotator.schema import Backend, LoadedFrame, Prediction
from annotator.store import Store
from annotator.store.queue import (
    DEATHS_ALLOWED,
    JobReport,
    Outcome,
    State,
    claim_frames,
    close_job,
    finish_frames,
    job_report,
    newest_jobs,
    queue_job,
    unfinished_job,
)

__all__ = [
    "DEATHS_ALLOWED",
    "PREANNOTATE",
    "JobReport",
    "State",
    "job_report",
    "newest_jobs",
    "one_at_a_time",
    "queue_job",
    "run_job",
    "unfinished_job",
]

PREANNOTATE = "preannotate"


def run_job(
    store: Store, job_id: str, backend: Backend, *, batch_size: int, on_done: Callable[[int], None] = lambda _: None
) -> JobReport:
    """Work off a pre-annotation job; `on_done` hears how many frames each step finished, well or badly."""
    store.add_model_version(backend.model)
    while not close_job(store, job_id):
        batch = claim_frames(store, job_id, batch_size)
        loaded, failed = _load(store, batch)
        finish_frames(store, job_id, [*failed, *_predict(backend, loaded)])
        on_done(len(batch))
    return job_report(store, job_id)


@contextmanager
def one_at_a_time(store: Store, kind: str) -> Iterator[None]:
    """Let only one process of the workspace do this kind of work."""
    with exclusive_lock(store.workspace / "locks" / f"{kind}.lock", kind):
        yield


def _load(store: Store, frame_ids: Sequence[str]) -> tuple[list[LoadedFrame], list[Outcome]]:
    loaded, failed = [], []
    for frame_id in frame_ids:
        frame = store.frame(frame_id)
        try:
            if frame is None:
                raise StoreError(f"frame {frame_id} is not in the store")
            loaded.append(load_frame(frame, store.image_path(frame_id)))
        except (FrameError, StoreError) as error:
            failed.append(Outcome(frame_id, 0.0, reason=str(error)))
    return loaded, failed


def _predict(backend: Backend, batch: Sequence[LoadedFrame]) -> Iterator[Outcome]:
    """Ask for the batch at once; where that fails, one by one, so that a bad frame stops only itself."""
    if not batch:
        return
    begun = time.perf_counter()
    try:
        predictions = _checked(backend.predict(batch), batch)
    except Exception as error:  # a model may fail in any way; this is its entry point
        if len(batch) > 1:
            for loaded in batch:
                yield from _predict(backend, [loaded])
            return
        reason = str(error) if isinstance(error, AnnotatorError) else f"{type(error).__name__}: {error}"
        yield Outcome(batch[0].frame.frame_id, time.perf_counter() - begun, reason=reason)
        return
    seconds = (time.perf_counter() - begun) / len(batch)
    for loaded, prediction in zip(batch, predictions, strict=True):
        yield Outcome(loaded.frame.frame_id, seconds, prediction=prediction)


def _checked(predictions: Sequence[Prediction], batch: Sequence[LoadedFrame]) -> Sequence[Prediction]:
    """Return the predictions where they are one a frame, in order; a mix-up would label the wrong frame."""
    if len(predictions) != len(batch):
        raise BackendError(f"the model returned {len(predictions)} predictions for {len(batch)} frames")
    for loaded, prediction in zip(batch, predictions, strict=True):
        if prediction.frame_id != loaded.frame.frame_id:
            raise BackendError(f"the model returned a prediction of another frame, {prediction.frame_id}")
    return predictions

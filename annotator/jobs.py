"""Queued work that survives being killed: each frame is queued, running, done or failed, and says why.

A frame's prediction and its 'done' are committed in one transaction, so a killed run neither loses nor doubles any.
A frame that was running when its process died is tried alone, and given up after several deaths.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, insert, select, update

from annotator.errors import AnnotatorError, FrameError, StoreError
from annotator.files import exclusive_lock
from annotator.frames import load_frame
from annotator.schema import Backend, LoadedFrame, Prediction, new_id, utc_now
from annotator.store import Store
from annotator.store.tables import JOB_ITEMS, JOBS

DEATHS_ALLOWED = 5
PREANNOTATE = "preannotate"


class State(StrEnum):
    """Of a job or of one of its frames."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class JobReport:
    """Counts of a job's frames, and why the failed ones failed (frame_id -> reason)."""

    job_id: str
    kind: str
    target: str
    state: State
    counts: dict[str, int]
    failures: dict[str, str]


def queue_job(store: Store, kind: str, target: str, frame_ids: Sequence[str]) -> str:
    """Return the unfinished job of this kind and target, the frames added that it lacks, or else a new one."""
    with store.writing() as connection:
        open_job = select(JOBS.c.job_id).where(
            JOBS.c.kind == kind, JOBS.c.target == target, JOBS.c.state != State.DONE
        )
        job_id = connection.execute(open_job).scalar()
        if job_id is None:
            job_id = new_id("job")
            now = utc_now()
            row = {"job_id": job_id, "kind": kind, "target": target, "state": State.QUEUED}
            connection.execute(insert(JOBS), {**row, "created_at": now, "updated_at": now})
        queued = set(connection.execute(select(JOB_ITEMS.c.frame_id).where(JOB_ITEMS.c.job_id == job_id)).scalars())
        fresh = [frame_id for frame_id in frame_ids if frame_id not in queued]
        items = [
            {
                "job_id": job_id,
                "frame_id": frame_id,
                "position": len(queued) + place,
                "state": State.QUEUED,
                "attempts": 0,
            }
            for place, frame_id in enumerate(fresh)
        ]
        if items:
            connection.execute(insert(JOB_ITEMS), items)
        return str(job_id)


def run_job(
    store: Store, job_id: str, backend: Backend, *, batch_size: int, on_done: Callable[[int], None] = lambda _: None
) -> JobReport:
    """Work off a pre-annotation job; `on_done` hears how many frames each step finished, well or badly."""
    store.add_model_version(backend.model)
    while batch := _claim(store, job_id, batch_size):
        loaded, failed = _load(store, batch)
        _finish(store, job_id, [*failed, *_predict(backend, loaded)])
        on_done(len(batch))
    _set_job_state(store, job_id, State.DONE)
    return job_report(store, job_id)


@contextmanager
def one_at_a_time(store: Store, kind: str) -> Iterator[None]:
    """Let only one process of the workspace do this kind of work."""
    with exclusive_lock(store.workspace / "locks" / f"{kind}.lock", kind):
        yield


def _claim(store: Store, job_id: str, batch_size: int) -> list[str]:
    """Mark the next frames as running. Those left running by a dead process come first, one by one."""
    mine = JOB_ITEMS.c.job_id == job_id
    running = (mine, JOB_ITEMS.c.state == State.RUNNING)
    orphan = select(JOB_ITEMS.c.frame_id).where(*running).order_by(JOB_ITEMS.c.attempts).limit(1)
    queued = select(JOB_ITEMS.c.frame_id).where(mine, JOB_ITEMS.c.state == State.QUEUED)
    queued = queued.order_by(JOB_ITEMS.c.position).limit(batch_size)
    hopeless = update(JOB_ITEMS).where(*running, JOB_ITEMS.c.attempts >= DEATHS_ALLOWED)
    with store.writing() as connection:
        reason = f"the program died on it {DEATHS_ALLOWED} times"
        connection.execute(hopeless.values(state=State.FAILED, reason=reason))
        frame_ids = list(connection.execute(orphan).scalars()) or list(connection.execute(queued).scalars())
        claimed = update(JOB_ITEMS).where(mine, JOB_ITEMS.c.frame_id.in_(frame_ids))
        connection.execute(claimed.values(state=State.RUNNING, attempts=JOB_ITEMS.c.attempts + 1))
    return frame_ids


@dataclass(frozen=True)
class _Outcome:
    frame_id: str
    seconds: float
    prediction: Prediction | None = None
    reason: str | None = None


def _load(store: Store, frame_ids: Sequence[str]) -> tuple[list[LoadedFrame], list[_Outcome]]:
    loaded, failed = [], []
    for frame_id in frame_ids:
        frame = store.frame(frame_id)
        try:
            if frame is None:
                raise StoreError(f"frame {frame_id} is not in the store")
            loaded.append(load_frame(frame, store.image_path(frame_id)))
        except (FrameError, StoreError) as error:
            failed.append(_Outcome(frame_id, 0.0, reason=str(error)))
    return loaded, failed


def _predict(backend: Backend, batch: Sequence[LoadedFrame]) -> Iterator[_Outcome]:
    """Ask for the batch at once; where that fails, one by one, so that a bad frame stops only itself."""
    if not batch:
        return
    begun = time.perf_counter()
    try:
        predictions = backend.predict(batch)
    except Exception as error:  # a model may fail in any way; this is its entry point
        if len(batch) > 1:
            for loaded in batch:
                yield from _predict(backend, [loaded])
            return
        reason = str(error) if isinstance(error, AnnotatorError) else f"{type(error).__name__}: {error}"
        yield _Outcome(batch[0].frame.frame_id, time.perf_counter() - begun, reason=reason)
        return
    seconds = (time.perf_counter() - begun) / len(batch)
    for loaded, prediction in zip(batch, predictions, strict=True):
        yield _Outcome(loaded.frame.frame_id, seconds, prediction=prediction)


def _finish(store: Store, job_id: str, outcomes: Sequence[_Outcome]) -> None:
    item = update(JOB_ITEMS).where(JOB_ITEMS.c.job_id == job_id)
    with store.writing() as connection:
        store.add_predictions(connection, [one.prediction for one in outcomes if one.prediction is not None])
        for one in outcomes:
            state = State.DONE if one.prediction is not None else State.FAILED
            done = item.where(JOB_ITEMS.c.frame_id == one.frame_id)
            connection.execute(done.values(state=state, reason=one.reason, seconds=one.seconds))


def _set_job_state(store: Store, job_id: str, state: State) -> None:
    with store.writing() as connection:
        connection.execute(update(JOBS).where(JOBS.c.job_id == job_id).values(state=state, updated_at=utc_now()))


def job_report(store: Store, job_id: str) -> JobReport:
    """Count a job's frames by state and list its failures."""
    counting = (
        select(JOB_ITEMS.c.state, func.count()).where(JOB_ITEMS.c.job_id == job_id).group_by(JOB_ITEMS.c.state)
    )
    failed = select(JOB_ITEMS.c.frame_id, JOB_ITEMS.c.reason).where(
        JOB_ITEMS.c.job_id == job_id, JOB_ITEMS.c.state == State.FAILED
    )
    with store.reading() as connection:
        job = connection.execute(select(JOBS).where(JOBS.c.job_id == job_id)).one()
        counts = {state.value: 0 for state in State}
        counts.update(connection.execute(counting).tuples())
        failures = {row.frame_id: row.reason for row in connection.execute(failed.order_by(JOB_ITEMS.c.position))}
    return JobReport(job_id, job.kind, job.target, State(job.state), counts, failures)


def newest_jobs(store: Store, limit: int = 10) -> list[JobReport]:
    """Report on the newest jobs, newest first."""
    query = select(JOBS.c.job_id).order_by(JOBS.c.created_at.desc()).limit(limit)
    with store.reading() as connection:
        job_ids = list(connection.execute(query).scalars())
    return [job_report(store, job_id) for job_id in job_ids]

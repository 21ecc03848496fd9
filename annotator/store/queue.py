"""The rows of queued work: which frames of a job are queued, running, done or failed.

A frame's prediction and its 'done' are committed in one transaction, so a killed run neither loses nor doubles any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, insert, select, update

from annotator.errors import JobError
from annotator.schema import Prediction, new_id, utc_now
from annotator.store.store import Store
from annotator.store.tables import JOB_ITEMS, JOBS

# Many, since whoever stops a run again and again must not make an innocent frame fail; a guilty one is tried last.
DEATHS_ALLOWED = 12


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


@dataclass(frozen=True)
class Outcome:
    """How one frame ended: with a prediction, or with the reason why there is none."""

    frame_id: str
    seconds: float
    prediction: Prediction | None = None
    reason: str | None = None


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
        fresh = [frame_id for frame_id in dict.fromkeys(frame_ids) if frame_id not in queued]
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


def claim_frames(store: Store, job_id: str, batch_size: int) -> list[str]:
    """Mark the next frames as running. Those left running by a dead process come last, one by one."""
    mine = JOB_ITEMS.c.job_id == job_id
    running = (mine, JOB_ITEMS.c.state == State.RUNNING)
    orphan = select(JOB_ITEMS.c.frame_id).where(*running)
    orphan = orphan.order_by(JOB_ITEMS.c.attempts, JOB_ITEMS.c.position).limit(1)
    queued = select(JOB_ITEMS.c.frame_id).where(mine, JOB_ITEMS.c.state == State.QUEUED)
    queued = queued.order_by(JOB_ITEMS.c.position).limit(batch_size)
    hopeless = update(JOB_ITEMS).where(*running, JOB_ITEMS.c.attempts >= DEATHS_ALLOWED)
    with store.writing() as connection:
        reason = f"the program died on it {DEATHS_ALLOWED} times"
        connection.execute(hopeless.values(state=State.FAILED, reason=reason))
        frame_ids = list(connection.execute(queued).scalars()) or list(connection.execute(orphan).scalars())
        claimed = update(JOB_ITEMS).where(mine, JOB_ITEMS.c.frame_id.in_(frame_ids))
        connection.execute(claimed.values(state=State.RUNNING, attempts=JOB_ITEMS.c.attempts + 1))
    return frame_ids


def finish_frames(store: Store, job_id: str, outcomes: Sequence[Outcome]) -> None:
    """Keep the predictions and mark their frames, all in one transaction."""
    item = update(JOB_ITEMS).where(JOB_ITEMS.c.job_id == job_id)
    with store.writing() as connection:
        store.add_predictions(connection, [one.prediction for one in outcomes if one.prediction is not None])
        for one in outcomes:
            state = State.DONE if one.prediction is not None else State.FAILED
            done = item.where(JOB_ITEMS.c.frame_id == one.frame_id)
            connection.execute(done.values(state=state, reason=one.reason, seconds=one.seconds))


def close_job(store: Store, job_id: str) -> bool:
    """Mark the job as done, unless frames were added to it meanwhile; return whether it is done."""
    waiting = select(JOB_ITEMS.c.frame_id).where(
        JOB_ITEMS.c.job_id == job_id, JOB_ITEMS.c.state.in_([State.QUEUED, State.RUNNING])
    )
    with store.writing() as connection:
        if connection.execute(waiting.limit(1)).first() is not None:
            return False
        done = update(JOBS).where(JOBS.c.job_id == job_id)
        connection.execute(done.values(state=State.DONE, updated_at=utc_now()))
    return True


def unfinished_job(store: Store, kind: str, target: str) -> str | None:
    """Return the job of this kind and target that still has work, or None."""
    query = select(JOBS.c.job_id).where(JOBS.c.kind == kind, JOBS.c.target == target, JOBS.c.state != State.DONE)
    with store.reading() as connection:
        return connection.execute(query).scalar()


def job_report(store: Store, job_id: str) -> JobReport:
    """Count a job's frames by state and list its failures; JobError where there is no such job."""
    counting = (
        select(JOB_ITEMS.c.state, func.count().label("frames"))
        .where(JOB_ITEMS.c.job_id == job_id)
        .group_by(JOB_ITEMS.c.state)
    )
    failed = select(JOB_ITEMS.c.frame_id, JOB_ITEMS.c.reason).where(
        JOB_ITEMS.c.job_id == job_id, JOB_ITEMS.c.state == State.FAILED
    )
    with store.reading() as connection:
        job = connection.execute(select(JOBS).where(JOBS.c.job_id == job_id)).one_or_none()
        if job is None:
            raise JobError(f"there is no job {job_id} in this workspace")
        counts = {state.value: 0 for state in State}
        counts |= {row.state: row.frames for row in connection.execute(counting)}
        failures = {row.frame_id: row.reason for row in connection.execute(failed.order_by(JOB_ITEMS.c.position))}
    return JobReport(job_id, job.kind, job.target, State(job.state), counts, failures)


def newest_jobs(store: Store, limit: int = 10) -> list[JobReport]:
    """Report on the newest jobs, newest first."""
    query = select(JOBS.c.job_id).order_by(JOBS.c.created_at.desc()).limit(limit)
    with store.reading() as connection:
        job_ids = list(connection.execute(query).scalars())
    return [job_report(store, job_id) for job_id in job_ids]

"""The loop's decisions, appended under the audit chain, and the trainings that are queued, one at a time."""

from typing import Any, TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Row

from annotator.errors import JobError
from annotator.learning import (
    OPEN_STATES,
    LoopStep,
    Promotion,
    QueueRound,
    TrainingRun,
    TrainingSpec,
    TrainingState,
)
from annotator.schema import ModelVersion, utc_now
from annotator.selection.evidence import Evidence
from annotator.store.store import Store, append_records
from annotator.store.tables import LEARNING, MODEL_VERSIONS, TRAINING_RUNS

Learnt = TypeVar("Learnt", Promotion, QueueRound, LoopStep, Evidence)


def add_promotion(store: Store, promotion: Promotion) -> None:
    """Append a decision; what it says serves from the moment of return."""
    _append(store, promotion.promotion_id, promotion)


def add_queue_round(store: Store, queue: QueueRound) -> None:
    """Append what is to be labelled next."""
    _append(store, queue.queue_id, queue)


def add_evidence(store: Store, evidence: Evidence) -> None:
    """Append what a simulation showed."""
    _append(store, evidence.evidence_id, evidence)


def add_loop_step(store: Store, step: LoopStep) -> None:
    """Append a finished stage of the loop."""
    _append(store, step.step_id, step)


def promotions(store: Store, backend: str | None = None) -> list[Promotion]:
    """Return all decisions, oldest first."""
    return [one for one in _records(store, Promotion) if backend is None or one.backend == backend]


def serving_version(store: Store, backend: str) -> str | None:
    """Return the name of the version that serves, None for the one of the release."""
    decided = promotions(store, backend)
    return decided[-1].serving if decided else None


def queue_rounds(store: Store) -> list[QueueRound]:
    """Return all queues, oldest first."""
    return _records(store, QueueRound)


def evidences(store: Store) -> list[Evidence]:
    """Return what all simulations showed, oldest first."""
    return _records(store, Evidence)


def loop_steps(store: Store) -> list[LoopStep]:
    """Return all steps of all loops, oldest first."""
    return _records(store, LoopStep)


def queue_training(store: Store, spec: TrainingSpec) -> TrainingRun:
    """Queue a training; where one of this backend is open already, return that one if it is the same.

    JobError where the open one learns from other data or with other settings.
    """
    run = TrainingRun(backend=spec.backend, spec=spec)
    open_run = (
        select(TRAINING_RUNS)
        .where(TRAINING_RUNS.c.backend == spec.backend, TRAINING_RUNS.c.state.in_(OPEN_STATES))
        .limit(1)
    )
    with store.writing() as connection:
        row = connection.execute(open_run).one_or_none()
        if row is None:
            values = run.model_dump() | {"spec": spec.model_dump_json()}
            connection.execute(insert(TRAINING_RUNS), values)
            return run
        known = _run(row)
    if known.spec.model_copy(update={"asked_by": spec.asked_by}) == spec:
        return known
    raise JobError(
        f"training {known.run_id} of {spec.backend} is {known.state}: wait for it, or cancel it with "
        f"'annotator train cancel {known.run_id}'"
    )


def next_training(store: Store) -> TrainingRun | None:
    """Return the oldest open training, marked as running; whoever calls holds the lock of trainings.

    One that was running when its process died comes first and goes on from its checkpoint.
    """
    with store.writing() as connection:
        query = select(TRAINING_RUNS).where(TRAINING_RUNS.c.state.in_(OPEN_STATES))
        was_running = TRAINING_RUNS.c.state == TrainingState.RUNNING
        row = connection.execute(
            query.order_by(was_running.desc(), TRAINING_RUNS.c.created_at).limit(1)
        ).one_or_none()
        if row is None:
            return None
        run = _run(row)
        started = {"state": TrainingState.RUNNING, "updated_at": utc_now()}
        connection.execute(update(TRAINING_RUNS).where(TRAINING_RUNS.c.run_id == run.run_id).values(**started))
    return run.model_copy(update=started)


def note_progress(store: Store, run_id: str, step: int, total: int, message: str) -> bool:
    """Note how far a training is; tell whether it is to go on."""
    with store.writing() as connection:
        mine = TRAINING_RUNS.c.run_id == run_id
        values = {"step": step, "total": total, "message": message, "updated_at": utc_now()}
        connection.execute(update(TRAINING_RUNS).where(mine).values(**values))
        return not connection.execute(select(TRAINING_RUNS.c.cancel_asked).where(mine)).scalar_one()


def cancel_training(store: Store, run_id: str) -> TrainingRun:
    """Ask a training to stop: a queued one is cancelled at once, a running one at its next step; JobError else."""
    run = training_run(store, run_id)
    if run.state not in OPEN_STATES:
        raise JobError(f"training {run_id} is {run.state} already")
    values: dict[str, Any] = {"cancel_asked": True, "updated_at": utc_now()}
    if run.state is TrainingState.QUEUED:
        values["state"] = TrainingState.CANCELLED
    mine = (TRAINING_RUNS.c.run_id == run_id) & (TRAINING_RUNS.c.state == run.state)
    with store.writing() as connection:
        connection.execute(update(TRAINING_RUNS).where(mine).values(**values))
    return training_run(store, run_id)


def finish_training(
    store: Store, run_id: str, state: TrainingState, message: str, model: ModelVersion | None = None
) -> None:
    """Note how a training ended, together with the version that it made, in one transaction."""
    values = {
        "state": state,
        "message": message,
        "model_version": model.name if model else None,
        "updated_at": utc_now(),
    }
    with store.writing() as connection:
        if model is not None:
            known = select(MODEL_VERSIONS.c.seq).where(MODEL_VERSIONS.c.record_id == model.name)
            if connection.execute(known).first() is None:
                append_records(connection, "model_version", {model.name: model})
        connection.execute(update(TRAINING_RUNS).where(TRAINING_RUNS.c.run_id == run_id).values(**values))


def training_run(store: Store, run_id: str) -> TrainingRun:
    """Return one training; JobError where there is none of this id."""
    with store.reading() as connection:
        row = connection.execute(select(TRAINING_RUNS).where(TRAINING_RUNS.c.run_id == run_id)).one_or_none()
    if row is None:
        raise JobError(f"there is no training {run_id} in this workspace")
    return _run(row)


def training_runs(store: Store, limit: int = 20) -> list[TrainingRun]:
    """Return the newest trainings, newest first."""
    query = select(TRAINING_RUNS).order_by(TRAINING_RUNS.c.created_at.desc()).limit(limit)
    with store.reading() as connection:
        return [_run(row) for row in connection.execute(query)]


def _run(row: Row[Any]) -> TrainingRun:
    return TrainingRun.model_validate(row._asdict() | {"spec": TrainingSpec.model_validate_json(row.spec)})


def _append(store: Store, record_id: str, record: Learnt) -> None:
    with store.writing() as connection:
        append_records(connection, "learning", {record_id: record})


def _records(store: Store, model: type[Learnt]) -> list[Learnt]:
    wanted = model.model_fields["kind"].default
    query = select(LEARNING.c.payload).where(LEARNING.c.kind == wanted).order_by(LEARNING.c.seq)
    with store.reading() as connection:
        return [model.model_validate_json(payload) for payload in connection.execute(query).scalars()]

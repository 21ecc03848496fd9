"""Decisions of the loop are appended under the chain; trainings are queued, and end with their version."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from annotator.errors import JobError, StoreError
from annotator.learning import (
    Decision,
    LoopStage,
    LoopStep,
    Promotion,
    QueueRound,
    TrainingSpec,
    TrainingState,
)
from annotator.selection import Pick
from annotator.store import Store
from annotator.store.learning import (
    add_loop_step,
    add_promotion,
    add_queue_round,
    cancel_training,
    finish_training,
    loop_steps,
    next_training,
    note_progress,
    promotions,
    queue_rounds,
    queue_training,
    serving_version,
    training_run,
    training_runs,
)
from tests.builders import a_model


def a_spec(**more: Any) -> TrainingSpec:
    usual = {"backend": "embedded", "dataset": "d-1", "dataset_folder": Path("d"), "dataset_hash": "0" * 64}
    return TrainingSpec(**{**usual, **more})


def decided(candidate: str, serving: str | None, backend: str = "embedded", **more: Any) -> Promotion:
    return Promotion(backend=backend, candidate=candidate, serving=serving, **more)  # type: ignore[arg-type]


def test_the_newest_decision_of_a_backend_says_what_serves(store: Store) -> None:
    assert serving_version(store, "embedded") is None
    add_promotion(store, decided("e1", "e1", decision=Decision.PROMOTED))
    add_promotion(store, decided("f1", "f1", "fada", decision=Decision.PROMOTED))
    add_promotion(store, decided("e2", "e1", decision=Decision.KEPT))
    assert (serving_version(store, "embedded"), serving_version(store, "fada")) == ("e1", "f1")
    add_promotion(store, decided("e1", None, decision=Decision.ROLLED_BACK))
    assert serving_version(store, "embedded") is None
    assert [one.candidate for one in promotions(store)] == ["e1", "f1", "e2", "e1"]
    assert [one.candidate for one in promotions(store, "fada")] == ["f1"]


def test_queues_and_steps_come_back_as_they_were_in_their_order(store: Store) -> None:
    picks = (Pick(frame_id="a", by="uncertainty", value=0.25, reason="unsure"),)
    rounds = [QueueRound(asked="auto", served="uncertainty", picks=picks, seed=seed) for seed in range(3)]
    steps = [LoopStep(loop_id="embedded-1", round=1, stage=stage, refers_to="x") for stage in LoopStage]
    for queue in rounds:
        add_queue_round(store, queue)
    for step in steps:
        add_loop_step(store, step)
    assert queue_rounds(store) == rounds
    assert loop_steps(store) == steps
    report = store.verify()
    assert (report.problems, report.rows) == ([], 7)


def test_a_decision_that_was_changed_or_removed_afterwards_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "w")
    add_promotion(store, decided("bad", None, decision=Decision.KEPT))
    add_promotion(store, decided("good", "good", decision=Decision.PROMOTED))
    with create_engine(f"sqlite:///{tmp_path / 'w' / 'annotator.db'}").begin() as connection:
        for trigger in (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        ):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("UPDATE learning SET payload = replace(payload, 'kept', 'promoted') WHERE seq = 1"))
    assert store.verify().problems
    store.close()


def test_the_same_decision_twice_is_refused(store: Store) -> None:
    once = decided("e1", "e1", decision=Decision.PROMOTED)
    add_promotion(store, once)
    with pytest.raises(StoreError):
        add_promotion(store, once)
    assert len(promotions(store)) == 1


def test_one_training_a_backend_is_open(store: Store) -> None:
    run = queue_training(store, a_spec(asked_by="anna"))
    assert queue_training(store, a_spec(asked_by="berta")) == run
    with pytest.raises(JobError, match=f"training {run.run_id} of embedded is queued: wait for it, or cancel it"):
        queue_training(store, a_spec(seed=1))
    other = queue_training(store, a_spec(backend="fada"))
    assert [one.run_id for one in training_runs(store)] in ([other.run_id, run.run_id], [run.run_id, other.run_id])
    assert training_run(store, run.run_id) == run


def test_trainings_are_taken_oldest_first_and_one_that_died_goes_before_all(store: Store) -> None:
    assert next_training(store) is None
    first = queue_training(store, a_spec(backend="fada"))
    taken = next_training(store)
    assert taken is not None
    assert (taken.run_id, taken.state) == (first.run_id, TrainingState.RUNNING)
    queue_training(store, a_spec())
    again = next_training(store)
    assert again is not None
    assert again.run_id == first.run_id
    finish_training(store, first.run_id, TrainingState.FAILED, "no memory")
    following = next_training(store)
    assert following is not None
    assert following.backend == "embedded"


def test_a_running_training_hears_at_its_next_step_that_it_was_cancelled(store: Store) -> None:
    run = queue_training(store, a_spec())
    next_training(store)
    assert note_progress(store, run.run_id, 3, 10, "heads")
    assert cancel_training(store, run.run_id).state is TrainingState.RUNNING
    assert not note_progress(store, run.run_id, 4, 10, "heads")
    now = training_run(store, run.run_id)
    assert (now.step, now.total, now.message, now.cancel_asked) == (4, 10, "heads", True)
    finish_training(store, run.run_id, TrainingState.CANCELLED, "cancelled")
    with pytest.raises(JobError, match="is cancelled already"):
        cancel_training(store, run.run_id)
    with pytest.raises(JobError, match="there is no training trn_0"):
        cancel_training(store, "trn_0")


def test_a_training_ends_together_with_the_version_that_it_made(store: Store) -> None:
    run = queue_training(store, a_spec())
    finish_training(store, run.run_id, TrainingState.DONE, "made it", a_model("embedded-2"))
    assert training_run(store, run.run_id).model_version == "embedded-2"
    again = queue_training(store, a_spec())
    finish_training(store, again.run_id, TrainingState.DONE, "made it", a_model("embedded-2"))
    assert [model.name for model in store.model_versions()] == ["embedded-2"]
    assert store.verify().problems == []

"""The whole circle by one command, called again and again, interrupted anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.commands.trainers import Made, Progress
from annotator.errors import InputError, JobError
from annotator.learning import Decision, LoopStage, Promotion, TrainingRun, TrainingState
from annotator.store import Store
from annotator.store.learning import (
    add_promotion,
    loop_steps,
    promotions,
    queue_rounds,
    serving_version,
    training_runs,
)
from tests import workers
from tests.builders import keep_frames
from tests.trainings import (
    SCRIPTED,
    Means,
    correct,
    corrected_frames,
    loop,
    loop_to_death,
    predict_all,
    promote_at_once,
    scripted,
)

STAGES = [stage.value for stage in LoopStage]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def answer_queue(store: Store, **more: Any) -> None:
    """A reader corrects the newest queue."""
    frames = {frame.frame_id: frame for frame in store.frames()}
    correct(store, [frames[one.frame_id] for one in queue_rounds(store)[-1].picks], **more)


def stages(store: Store) -> list[tuple[int, str]]:
    return [(step.round, step.stage.value) for step in loop_steps(store)]


def test_called_by_a_scheduler_it_says_how_many_corrections_are_missing_and_goes_on_when_they_are_there(
    store: Store,
) -> None:
    keep_frames(store, 12)
    first = loop(store.workspace, rounds=2)
    assert (first.exit_code, first.document["missing_corrections"]) == (0, 4)
    assert loop(store.workspace, rounds=2).document["missing_corrections"] == 4
    assert len(queue_rounds(store)) == 1
    answer_queue(store)
    second = loop(store.workspace, rounds=2)
    assert second.document["missing_corrections"] == 4
    assert stages(store) == [(1, stage) for stage in STAGES] + [(2, "queued")]
    answer_queue(store)
    last = loop(store.workspace, rounds=2)
    assert last.text.endswith("all rounds are done")
    assert stages(store) == [(number, stage) for number in (1, 2) for stage in STAGES]
    versions = {model.name: model for model in store.model_versions()}
    serving = versions[serving_version(store, "embedded") or ""]
    assert versions[serving.parent or ""].parent is None
    assert {said.model_version for said in store.newest_predictions()} == {serving.name}
    assert len(list(store.newest_predictions(serving.parent))) == 12  # the old ones are kept
    assert store.verify().problems == []


def test_what_each_step_refers_to_is_there(store: Store) -> None:
    corrected_frames(store, 6)
    keep_frames(store, 4, first_seed=100)
    loop(store.workspace)
    queued, corrected, trained, decided = loop_steps(store)
    assert queued.refers_to == queue_rounds(store)[0].queue_id
    assert corrected.refers_to == training_runs(store)[0].spec.dataset
    assert trained.refers_to == store.model_versions()[0].name
    assert decided.refers_to == promotions(store)[0].promotion_id
    assert training_runs(store)[0].spec.asked_by == "loop embedded-1, round 1"


@pytest.mark.parametrize("place", [*STAGES, "training", "promoting", "predicting"])
def test_killed_at_any_place_the_next_call_goes_on_and_does_nothing_twice(store: Store, place: str) -> None:
    corrected_frames(store, 6)
    keep_frames(store, 4, first_seed=100)
    process = workers.start(loop_to_death, store.workspace, place)
    process.join(60)
    assert process.exitcode == -9
    assert len(loop_steps(store)) < len(STAGES)
    loop(store.workspace)
    assert stages(store) == [(1, stage) for stage in STAGES]
    assert len(queue_rounds(store)) == 1
    assert [run.state for run in training_runs(store)] == [TrainingState.DONE]
    assert [model.name for model in store.model_versions()] == [serving_version(store, "embedded")]
    assert len(promotions(store)) == 1
    said = list(store.predictions_of([frame.frame_id for frame in store.frames()]))
    assert len(said) == len({one.frame_id for one in said}) == 10
    assert store.verify().problems == []


def test_a_version_that_is_not_promoted_predicts_nothing_and_the_loop_goes_on(store: Store) -> None:
    corrected_frames(store, 6)
    keep_frames(store, 8, first_seed=100)

    def keep(workspace: Path, name: str) -> None:
        add_promotion(store, Promotion(backend="embedded", candidate=name, decision=Decision.KEPT))

    kept = Means({"embedded": scripted}, keep, predict_all)
    result = loop(store.workspace, rounds=2, means=kept)
    assert serving_version(store, "embedded") is None
    assert list(store.newest_predictions()) == []
    assert stages(store) == [(1, stage) for stage in STAGES] + [(2, "queued")]
    assert result.document["missing_corrections"] == 4


def test_a_failed_training_ends_the_call_and_the_next_call_tries_again(store: Store) -> None:
    corrected_frames(store, 6)

    def failing(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        raise InputError("nothing that could be learnt")

    with pytest.raises(JobError, match="failed: nothing that could be learnt; the same command tries again"):
        loop(store.workspace, means=Means({"embedded": failing}, promote_at_once, predict_all))
    assert stages(store) == [(1, "queued"), (1, "corrected")]
    loop(store.workspace)
    assert stages(store) == [(1, stage) for stage in STAGES]


def test_where_frames_were_skipped_more_are_queued(store: Store) -> None:
    keep_frames(store, 12)
    loop(store.workspace)
    answer_queue(store, skipped=True, findings=())
    assert loop(store.workspace).document["missing_corrections"] == 4
    assert [len(queue.picks) for queue in queue_rounds(store)] == [4, 4]
    answer_queue(store)
    loop(store.workspace)
    assert stages(store)[-1] == (1, "decided")


def test_after_its_rounds_a_further_call_begins_a_new_loop(store: Store) -> None:
    keep_frames(store, 12)
    loop(store.workspace)
    answer_queue(store)
    assert loop(store.workspace).document["loop"] == "embedded-1"
    again = loop(store.workspace)
    assert (again.document["loop"], again.document["missing_corrections"]) == ("embedded-2", 4)


def test_two_loops_at_once_are_refused(store: Store) -> None:
    corrected_frames(store, 6)

    def meanwhile(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        with pytest.raises(JobError, match="loop is already running in this workspace"):
            loop(store.workspace)
        return scripted(run, out, threads, progress)

    loop(store.workspace, means=Means({"embedded": meanwhile}, SCRIPTED.promote, SCRIPTED.predict))
    assert stages(store)[-1] == (1, "decided")

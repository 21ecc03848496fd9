"""A training as a job: what it needs, what it leaves behind, and that being killed leaves no half a version."""

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotator.commands.trainers import Made, Progress, conversations_folder
from annotator.commands.training import parse_changes
from annotator.commands.training_jobs import (
    NOTE,
    NothingToLearnError,
    Wish,
    ask_for_training,
    missing_corrections,
    queue_from_store,
)
from annotator.commands.training_runs import STARTS_ALLOWED, log_path, partial_folder, run_training, work_off
from annotator.errors import InputError, JobError
from annotator.learning import Decision, Promotion, TrainingRun, TrainingState, model_folder
from annotator.store import Links, Store
from annotator.store.datasets import dataset_versions
from annotator.store.learning import add_promotion, cancel_training, next_training, training_run, training_runs
from tests import workers
from tests.builders import a_finding, keep_frames
from tests.trainings import (
    STEPS,
    WEIGHTS,
    a_settings,
    correct,
    corrected_frames,
    freeze,
    queued,
    scripted,
    train,
    train_slowly,
)


def versions(store: Store) -> list[str]:
    return sorted(path.name for path in (store.workspace / "models" / "versions").glob("*"))


def promote(store: Store, name: str) -> None:
    decided = Promotion(backend="embedded", candidate=name, serving=name, decision=Decision.PROMOTED)
    add_promotion(store, decided)


def test_a_training_makes_a_version_that_tells_its_parent_data_settings_margins_seed_and_environment(
    store: Store,
) -> None:
    corrected_frames(store, 8)
    run = queued(store, seed=3, settings={"epochs": 2})
    (done,) = train(store)
    assert (done.state, done.step, done.total) == (TrainingState.DONE, STEPS, STEPS)
    (model,) = store.model_versions()
    assert done.model_version == model.name == f"embedded-{model.content_hash[:8]}"
    assert versions(store) == [model.name]
    (dataset,) = dataset_versions(store)
    assert (model.dataset, model.parent) == (dataset.dataset_id, None)
    assert model.settings["trainer"] == {"epochs": 2}
    assert model.settings["margins"] == {"dice": 0.01, "detection": 0.03, "plane": 0.05}
    assert (model.settings["seed"], model.settings["new_corrections"]) == (3, 8)
    assert set(model.settings["environment"]) >= {"python", "torch", "annotator"}
    assert "5/5 learnt" in log_path(store.workspace, run.run_id).read_text()
    assert store.verify().problems == []


def test_the_next_training_starts_from_the_version_that_serves_and_counts_what_came_since(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)
    (first,) = train(store)
    assert first.model_version is not None
    promote(store, first.model_version)
    with pytest.raises(
        NothingToLearnError, match="4 more corrected frames are needed: 0 are new since the last training"
    ):
        queued(store)
    time.sleep(0.002)  # corrections are dated to the millisecond
    corrected_frames(store, 4, first_seed=50)
    run = queued(store)
    assert (run.spec.parent, run.spec.new_corrections) == (first.model_version, 4)
    (second,) = train(store)
    assert {model.name: model.parent for model in store.model_versions()}[
        second.model_version or ""
    ] == run.spec.parent


def _none(store: Store) -> None:
    keep_frames(store, 8)


def _skipped(store: Store) -> None:
    correct(store, keep_frames(store, 8), skipped=True, findings=())


def _too_few(store: Store) -> None:
    corrected_frames(store, 3)


def _contradicted(store: Store) -> None:
    frames = corrected_frames(store, 8)
    correct(store, frames, "berta", findings=(a_finding("CSP", (20.0, 15.0, 30.0, 22.0)),))


@pytest.mark.parametrize(
    ("given", "missing"), [(_none, 4), (_skipped, 4), (_too_few, 1)], ids=["none", "all skipped", "too few"]
)
def test_too_few_corrections_queue_nothing_and_say_how_many_are_missing(
    store: Store, given: Callable[[Store], None], missing: int
) -> None:
    given(store)
    with pytest.raises(NothingToLearnError, match=f"^{missing} more corrected frames are needed"):
        queued(store)
    assert missing_corrections(store, a_settings(), Wish()) == missing
    assert training_runs(store) == []
    assert dataset_versions(store) == []


def test_readers_who_contradict_each_other_count_by_the_rule(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _contradicted(store)
    assert missing_corrections(store, a_settings(), Wish()) == 0
    monkeypatch.setenv("ANNOTATOR_CONTRADICTION", "leave_out")
    assert missing_corrections(store, a_settings(), Wish()) == 4
    monkeypatch.setenv("ANNOTATOR_ADJUDICATOR", "anna")
    assert missing_corrections(store, a_settings(), Wish()) == 0
    queued(store)
    assert dataset_versions(store)[0].structures == {"Brain": 8}


def test_a_data_set_that_was_changed_since_is_not_trained_on(store: Store) -> None:
    corrected_frames(store, 8)
    run = queued(store)
    image = next((run.spec.dataset_folder / "images").iterdir())
    image.write_bytes(image.read_bytes() + b"x")
    (done,) = train(store)
    assert done.state is TrainingState.FAILED
    assert "does not hold any more" in done.message
    assert image.name in done.message
    assert store.model_versions() == []
    again = queued(store)  # it is written anew
    assert train(store)[0].state is TrainingState.DONE
    assert again.spec.dataset_hash == run.spec.dataset_hash


def test_a_version_whose_files_were_deleted_may_be_trained_again(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)
    (done,) = train(store)
    with pytest.raises(NothingToLearnError, match="0 are new since the last training"):
        queued(store)
    shutil.rmtree(model_folder(store.workspace, done.model_version or ""))
    queued(store)
    (again,) = train(store)
    assert again.model_version == done.model_version
    assert versions(store) == [done.model_version]


def test_a_candidate_that_was_not_promoted_is_not_trained_again_on_the_same_frames(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)
    train(store)
    time.sleep(0.002)
    corrected_frames(store, 3, first_seed=50)
    assert missing_corrections(store, a_settings(), Wish()) == 1
    corrected_frames(store, 1, first_seed=60)
    run = queued(store)
    assert (run.spec.parent, run.spec.new_corrections) == (None, 4)


def test_a_version_that_serves_but_lost_its_files_is_named_before_anything_is_queued(store: Store) -> None:
    corrected_frames(store, 8)
    promote(store, "embedded-0badf00d")
    with pytest.raises(JobError, match="embedded-0badf00d serves, but its files are not in"):
        queued(store)


@pytest.mark.parametrize("setting", ["epoch=2", "epochs=many", 'teaching={"speed": 1}'])
def test_a_setting_that_the_trainer_does_not_know_is_refused_before_anything_is_queued(
    store: Store, setting: str
) -> None:
    corrected_frames(store, 8)
    with pytest.raises(InputError, match=r"setting .* of a fine-tuning"):
        queued(store, settings=parse_changes([setting]))
    assert training_runs(store) == []


def test_one_training_a_backend_is_open_and_the_same_again_is_that_one(store: Store) -> None:
    corrected_frames(store, 8)
    first = queued(store)
    assert queued(store).run_id == first.run_id
    with pytest.raises(JobError, match=f"training {first.run_id} of embedded is queued"):
        queued(store, seed=1)


def test_two_processes_do_not_train_at_once(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)

    def while_it_runs(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        with pytest.raises(JobError, match="train is already running in this workspace"):
            train(store)
        return scripted(run, out, threads, progress)

    assert train(store, while_it_runs)[0].state is TrainingState.DONE


def test_a_cancelled_training_stops_at_its_next_step_and_leaves_no_files(store: Store) -> None:
    corrected_frames(store, 8)
    run = queued(store)

    def cancelled(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        progress(1, STEPS, "begun")
        cancel_training(store, run.run_id)
        progress(2, STEPS, "going on")
        raise AssertionError("it was not stopped")

    (done,) = train(store, cancelled)
    assert (done.state, done.message) == (TrainingState.CANCELLED, "cancelled at step 2 of 5")
    assert versions(store) == []
    waiting = queued(store)
    assert cancel_training(store, waiting.run_id).state is TrainingState.CANCELLED
    assert train(store) == []
    with pytest.raises(JobError, match="is cancelled already"):
        cancel_training(store, run.run_id)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (MemoryError(), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out of memory"),
        (ValueError("two\nlines"), "ValueError: two lines"),
        (InputError("nothing to learn"), "nothing to learn"),
    ],
    ids=["disk", "memory", "device memory", "fault", "our own"],
)
def test_what_stops_a_training_is_told_in_one_line_and_its_files_are_removed(
    store: Store, error: Exception, told: str
) -> None:
    corrected_frames(store, 8)
    queued(store)

    def failing(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        (out / WEIGHTS).write_text("half")
        raise error

    (done,) = train(store, failing)
    assert (done.state, done.message.partition(":")[0]) == (TrainingState.FAILED, told.partition(":")[0])
    assert "\n" not in done.message
    assert versions(store) == []
    assert store.model_versions() == []


def test_a_training_that_was_killed_goes_on_where_it_was(store: Store, database_url: str | None) -> None:
    corrected_frames(store, 8)
    run = queued(store)
    begun = workers.CONTEXT.Event()
    process = workers.start(train_slowly, store.workspace, database_url, begun, 0.2)
    assert begun.wait(30)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert training_run(store, run.run_id).state is TrainingState.RUNNING
    half = (partial_folder(store.workspace, run.run_id) / WEIGHTS).read_text().splitlines()
    assert 0 < len(half) < STEPS
    (done,) = train(store)
    assert done.run_id == run.run_id
    assert done.state is TrainingState.DONE
    folder = model_folder(store.workspace, done.model_version or "")
    assert len((folder / WEIGHTS).read_text().splitlines()) == STEPS


def test_killed_between_moving_the_files_and_noting_it_the_version_is_adopted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected_frames(store, 8)
    run = queued(store)

    class Killed(BaseException): ...

    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("annotator.commands.training_runs.finish_training", kill)
        with pytest.raises(Killed):
            train(store)
    assert store.model_versions() == []
    (name,) = versions(store)

    def never(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        raise AssertionError("it was trained already")

    (done,) = train(store, never)
    assert (done.run_id, done.state, done.model_version) == (run.run_id, TrainingState.DONE, name)
    assert [model.name for model in store.model_versions()] == [name]


def test_a_folder_of_that_name_which_no_row_knows_is_replaced(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)

    def beside_a_half_one(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        made = scripted(run, out, threads, progress)
        half = model_folder(store.workspace, f"embedded-{made.content_hash[:8]}")
        half.mkdir()
        (half / "half").write_text("written")
        return made

    (done,) = train(store, beside_a_half_one)
    folder = model_folder(store.workspace, done.model_version or "")
    assert [path.name for path in folder.iterdir()] == [WEIGHTS]


def test_a_training_that_always_kills_its_process_is_given_up(store: Store) -> None:
    corrected_frames(store, 8)
    queued(store)

    class Killed(BaseException): ...

    def killing(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
        raise Killed

    for _ in range(STARTS_ALLOWED):
        run = next_training(store)
        assert run is not None
        with pytest.raises(Killed):
            run_training(store, run, 1, lambda *_: None, killing)
    (done,) = train(store, killing)
    assert done.state is TrainingState.FAILED
    assert "died 3 times at step 0" in done.message


def test_a_flood_of_requests_is_one_training_and_too_few_corrections_are_a_note(store: Store) -> None:
    assert ask_for_training(store, "embedded", "Label Studio")
    assert not any(ask_for_training(store, "embedded", "Label Studio") for _ in range(50))
    assert train(store, scripted) == []
    assert Links(store).setting(NOTE)["text"].startswith("4 more corrected frames are needed")
    corrected_frames(store, 8)
    for _ in range(50):
        ask_for_training(store, "embedded", "Label Studio")
    (done,) = train(store)
    assert (done.state, done.spec.asked_by) == (TrainingState.DONE, "Label Studio")
    assert Links(store).setting(NOTE)["text"] == ""
    assert len(training_runs(store)) == 1


def test_a_wish_for_which_no_data_set_can_be_written_is_a_note_and_not_tried_for_ever(store: Store) -> None:
    corrected_frames(store, 8)
    (store.workspace / "datasets").write_text("a file where the folder should be")
    ask_for_training(store, "embedded", "Label Studio")
    assert train(store) == []
    assert "datasets" in Links(store).setting(NOTE)["text"]
    assert ask_for_training(store, "embedded", "Label Studio")


def test_frames_of_a_study_are_neither_counted_nor_learnt_from(store: Store) -> None:
    frames = corrected_frames(store, 8)
    freeze(store, [frames[0]])
    run = queue_from_store(store, a_settings(), Wish(least=1))
    kin = [frame for frame in frames if frame.subject == frames[0].subject]
    assert run.spec.new_corrections == 8 - len(kin)
    assert dataset_versions(store)[0].splits["study"] == len(kin)


def test_an_adapter_is_trained_on_conversations_about_the_corrected_frames(tmp_path: Path) -> None:
    from tests.tiny_vlm import save_tiny_checkpoint

    store = Store(tmp_path / "workspace")
    save_tiny_checkpoint(tmp_path / "base", 0)
    corrected_frames(store, 8)
    lessons = {"model": str(tmp_path / "base"), "steps": 2, "batch": 1, "accumulation": 1, "device": "cpu"}
    run = queued(store, backend="fada", settings=lessons)
    (done,) = work_off(store, a_settings())
    assert done.state is TrainingState.DONE, done.message
    (model,) = store.model_versions()
    assert (model.backend, model.base) == ("fada", str(tmp_path / "base"))
    folder = model_folder(store.workspace, model.name)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in folder.iterdir()}
    told = conversations_folder(run.spec.dataset_folder) / "conversations.jsonl"
    shutil.rmtree(folder)
    again = queued(store, backend="fada", settings=lessons | {"steps": 1})
    told.write_text("{}\n")
    (failed,) = work_off(store, a_settings())
    assert (failed.run_id, failed.state) == (again.run_id, TrainingState.FAILED)
    assert "do not hold any more" in failed.message
    store.close()

"""Queued work: a bad frame stops only itself, and a killed run loses nothing and doubles nothing."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from annotator import jobs
from annotator.errors import BackendError, JobError
from annotator.schema import LoadedFrame
from annotator.store import Store
from tests.builders import ScriptedBackend, a_prediction, keep_frames
from tests.workers import CONTEXT, hold_lock, start, work_off


def queue(store: Store, count: int) -> str:
    frames = keep_frames(store, count)
    return jobs.queue_job(store, jobs.PREANNOTATE, "scripted-1", [frame.frame_id for frame in frames])


def run(store: Store, job_id: str, answer: Any = None, *, batch_size: int = 4) -> jobs.JobReport:
    return jobs.run_job(store, job_id, ScriptedBackend(answer), batch_size=batch_size)


def predict(batch: Sequence[LoadedFrame]) -> list[Any]:
    return [a_prediction(loaded.frame, "scripted-1") for loaded in batch]


def counts(report: jobs.JobReport) -> dict[str, int]:
    return {state: count for state, count in report.counts.items() if count}


def test_every_frame_gets_its_prediction(store: Store) -> None:
    report = run(store, queue(store, 10))
    assert (report.state, counts(report), report.failures) == (jobs.State.DONE, {"done": 10}, {})
    assert len(list(store.newest_predictions("scripted-1"))) == 10
    assert [model.name for model in store.model_versions()] == ["scripted-1"]


def test_frames_are_asked_for_in_the_order_they_were_queued(store: Store) -> None:
    backend = ScriptedBackend()
    jobs.run_job(store, queue(store, 10), backend, batch_size=4)
    assert [len(batch) for batch in backend.asked] == [4, 4, 2]
    assert [name for batch in backend.asked for name in batch] == [f"frame{place:03}.png" for place in range(10)]


def test_progress_is_told_of_every_frame_well_or_badly(store: Store) -> None:
    heard: list[int] = []
    job_id = queue(store, 7)
    store.image_path(keep_frames(store, 3)[2].frame_id).unlink()
    jobs.run_job(store, job_id, ScriptedBackend(), batch_size=3, on_done=heard.append)
    assert sum(heard) == 7


def test_a_bad_frame_stops_only_itself(store: Store) -> None:
    def fails_on_two(batch: Sequence[LoadedFrame]) -> list[Any]:
        for loaded in batch:
            if loaded.frame.source_file in ("frame001.png", "frame006.png"):
                raise BackendError(f"{loaded.frame.source_file}: nothing to see")
        return predict(batch)

    report = run(store, queue(store, 10), fails_on_two)
    assert counts(report) == {"done": 8, "failed": 2}
    assert sorted(report.failures.values()) == ["frame001.png: nothing to see", "frame006.png: nothing to see"]


def test_a_model_that_cannot_take_batches_is_asked_frame_by_frame(store: Store) -> None:
    def one_only(batch: Sequence[LoadedFrame]) -> list[Any]:
        if len(batch) > 1:
            raise RuntimeError("CUDA out of memory")
        return predict(batch)

    assert counts(run(store, queue(store, 6), one_only)) == {"done": 6}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda batch: [], "returned 0 predictions for 1 frames"),
        (lambda batch: predict(batch) * 2, "returned 2 predictions for 1 frames"),
        (lambda batch: [a_prediction(batch[0].frame).model_copy(update={"frame_id": "f" * 32})], "another frame"),
        (lambda batch: None, "TypeError"),
        (lambda batch: [None], "AttributeError"),
        (lambda batch: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_nonsensical_answer_is_a_failure_with_its_reason(store: Store, answer: Any, reason: str) -> None:
    report = run(store, queue(store, 3), answer, batch_size=1)
    assert counts(report) == {"failed": 3}
    assert all(reason in why for why in report.failures.values())
    assert store.counts()["predictions"] == 0


@pytest.mark.parametrize("wrong", [lambda said: said[:-1], lambda said: said[::-1], lambda said: said * 2])
def test_a_wrong_number_or_order_for_a_batch_is_mended_by_asking_one_by_one(store: Store, wrong: Any) -> None:
    def answer(batch: Sequence[LoadedFrame]) -> list[Any]:
        return wrong(predict(batch)) if len(batch) > 1 else predict(batch)  # type: ignore[no-any-return]

    assert counts(run(store, queue(store, 5), answer)) == {"done": 5}
    assert {item.frame_id for item in store.newest_predictions()} == {frame.frame_id for frame in store.frames()}


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "another image", "a folder", "a huge header"])
def test_a_stored_image_that_is_gone_or_damaged_fails_alone(store: Store, damage: str) -> None:
    job_id = queue(store, 5)
    victim, other = (store.image_path(frame.frame_id) for frame in keep_frames(store, 2))
    content = victim.read_bytes()
    victim.unlink()
    if damage == "empty":
        victim.write_bytes(b"")
    elif damage == "cut off":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "another image":
        victim.write_bytes(other.read_bytes())
    elif damage == "a folder":
        victim.mkdir()
    elif damage == "a huge header":
        victim.write_bytes(content[:16] + b"\x00\x01\x00\x00" * 2 + content[24:])
    report = run(store, job_id)
    assert counts(report) == {"done": 4, "failed": 1}
    (reason,) = report.failures.values()
    assert reason.startswith("frame000.png: the stored image")
    assert "\n" not in reason


def test_a_queued_frame_that_the_store_does_not_know_fails_alone(store: Store) -> None:
    known = keep_frames(store, 1)[0].frame_id
    job_id = jobs.queue_job(store, jobs.PREANNOTATE, "scripted-1", ["f" * 32, known])
    assert counts(run(store, job_id)) == {"done": 1, "failed": 1}


def test_queueing_again_goes_on_with_the_unfinished_job_and_adds_what_it_lacks(store: Store) -> None:
    frames = [frame.frame_id for frame in keep_frames(store, 5)]
    first = jobs.queue_job(store, jobs.PREANNOTATE, "scripted-1", frames[:3])
    second = jobs.queue_job(store, jobs.PREANNOTATE, "scripted-1", frames)
    assert first == second
    assert counts(jobs.job_report(store, first)) == {"queued": 5}


def test_a_finished_job_is_not_gone_on_with(store: Store) -> None:
    job_id = queue(store, 2)
    run(store, job_id)
    assert queue(store, 2) != job_id
    assert [report.state for report in jobs.newest_jobs(store)] == [jobs.State.QUEUED, jobs.State.DONE]


def test_another_model_or_kind_of_work_has_a_job_of_its_own(store: Store) -> None:
    ids = {jobs.queue_job(store, kind, target, []) for kind in ("a", "b") for target in ("m1", "m2")}
    assert len(ids) == 4


def test_a_frame_queued_twice_at_once_is_worked_off_once(store: Store) -> None:
    frame_id = keep_frames(store, 1)[0].frame_id
    job_id = jobs.queue_job(store, jobs.PREANNOTATE, "scripted-1", [frame_id, frame_id])
    assert counts(run(store, job_id)) == {"done": 1}


def test_an_empty_job_is_done_at_once(store: Store) -> None:
    report = run(store, queue(store, 0))
    assert (report.state, counts(report)) == (jobs.State.DONE, {})


def test_a_job_that_does_not_exist_is_one_clear_line(store: Store) -> None:
    with pytest.raises(JobError, match="there is no job job_nowhere"):
        jobs.job_report(store, "job_nowhere")


# Deaths


class ProgramDiedError(BaseException):
    """Stands for a kill: nothing may catch it."""


def dies(batch: Sequence[LoadedFrame]) -> list[Any]:
    raise ProgramDiedError


def test_frames_that_a_dead_run_left_come_last_and_one_by_one(store: Store) -> None:
    job_id = queue(store, 6)
    with pytest.raises(ProgramDiedError):
        run(store, job_id, dies, batch_size=3)
    assert counts(jobs.job_report(store, job_id)) == {"running": 3, "queued": 3}
    backend = ScriptedBackend()
    report = jobs.run_job(store, job_id, backend, batch_size=3)
    assert counts(report) == {"done": 6}
    expected = ["frame003.png", "frame004.png", "frame005.png", "frame000.png", "frame001.png", "frame002.png"]
    assert [len(batch) for batch in backend.asked] == [3, 1, 1, 1]
    assert [name for batch in backend.asked for name in batch] == expected


def test_a_frame_on_which_the_program_always_dies_is_given_up_and_the_others_are_not(store: Store) -> None:
    def dies_on_the_second(batch: Sequence[LoadedFrame]) -> list[Any]:
        if any(loaded.frame.source_file == "frame001.png" for loaded in batch):
            raise ProgramDiedError
        return predict(batch)

    job_id, deaths = queue(store, 6), 0
    while jobs.job_report(store, job_id).state != jobs.State.DONE:
        try:
            run(store, job_id, dies_on_the_second)
        except ProgramDiedError:
            deaths += 1
        if deaths == 3:
            assert counts(jobs.job_report(store, job_id)) == {"done": 5, "running": 1}
    report = jobs.job_report(store, job_id)
    assert counts(report) == {"done": 5, "failed": 1}
    assert list(report.failures.values()) == [f"the program died on it {jobs.DEATHS_ALLOWED} times"]
    assert deaths == jobs.DEATHS_ALLOWED


def test_ten_kills_always_at_the_same_frame_do_not_make_it_fail(store: Store) -> None:
    job_id = queue(store, 1)
    for _ in range(10):
        with pytest.raises(ProgramDiedError):
            run(store, job_id, dies)
    assert counts(run(store, job_id)) == {"done": 1}


def test_ten_kills_in_the_middle_lose_nothing_and_double_nothing(store: Store, database_url: str | None) -> None:
    job_id = queue(store, 120)
    chance = random.Random(7)
    kills = 0
    for _ in range(10):
        begun = CONTEXT.Event()
        worker = start(work_off, store.workspace, database_url, job_id, begun)
        assert begun.wait(30)
        time.sleep(chance.uniform(0.02, 0.12))
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join(30)
        kills += worker.exitcode == -signal.SIGKILL
        assert store.verify().problems == []
    assert kills == 10
    report = run(store, job_id)
    assert (report.state, counts(report)) == (jobs.State.DONE, {"done": 120})
    kept = Counter(item.frame_id for item in store.newest_predictions())
    assert len(kept) == 120
    assert store.counts()["predictions"] == 120
    assert store.verify().problems == []


def test_a_second_run_is_refused_while_one_goes_on_and_let_in_once_it_was_killed(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    store, held = Store(workspace), CONTEXT.Event()
    worker = start(hold_lock, workspace, held)
    assert held.wait(30)
    with pytest.raises(JobError, match="already running"), jobs.one_at_a_time(store, jobs.PREANNOTATE):
        pass
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join(30)
    with jobs.one_at_a_time(store, jobs.PREANNOTATE):
        pass
    store.close()

"""Nothing stops a training for good: cancelled, killed, out of memory or disk, it goes on to the same end."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from annotator.errors import BackendError, InputError, JobError
from backends.training.lora import checkpoints
from backends.training.lora.student import Student
from backends.training.lora.training import train_lora
from tests.backends.training.lora.builders import (
    a_request,
    answers_of,
    same,
    weights_in,
)

ROOT = Path(__file__).resolve().parents[4]


def stopping_after(step):
    return lambda done, total, message: done < step


def test_a_run_that_was_cancelled_and_goes_on_ends_as_one_that_was_not(
    tmp_path, checkpoint, data, distilling, whole
):
    request = a_request(data, checkpoint, tmp_path / "out", **distilling)
    stopped = train_lora(request, on_progress=stopping_after(3))
    assert stopped == {"cancelled": True, "step": 3, "total": 5, "out": str(tmp_path / "out")}
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    steps = []
    result = train_lora(request, on_progress=lambda step, total, message: steps.append(step) or True)
    assert steps == [4, 5]
    assert result == whole[1]
    assert same(weights_in(tmp_path / "out"), weights_in(whole[0]))


def test_what_was_learnt_is_kept_where_the_caller_stops_it_by_an_error(tmp_path, checkpoint, data):
    request = a_request(data, checkpoint, tmp_path / "out", steps=4, checkpoint_every=100)
    steps = []

    def stop(step, total, message):
        steps.append(step)
        if len(steps) == 3:
            raise JobError("stopped")
        return True

    with pytest.raises(JobError, match="stopped"):
        train_lora(request, on_progress=stop)
    assert train_lora(request, on_progress=stop)["steps"] == 4
    assert steps == [1, 2, 3, 4]


def test_a_run_that_was_killed_goes_on_and_ends_as_one_that_was_not(tmp_path, checkpoint, data, distilling, whole):
    """Killed at the third step, whose work is lost: the checkpoint is of the second."""
    request = a_request(data, checkpoint, tmp_path / "out", **distilling)
    asked = tmp_path / "request.json"
    asked.write_text(request.model_dump_json())
    command = [sys.executable, "-m", "tests.backends.training.lora.killed", str(asked), "3"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (tmp_path / "request.reached").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in (tmp_path / "out" / "checkpoints").glob("step_*")] == ["step_000002"]
    (tmp_path / "out" / "checkpoints" / ".step_000003.part").mkdir()  # as if killed while writing one
    steps = []
    result = train_lora(request, on_progress=lambda step, total, message: steps.append(step) or True)
    assert steps == [3, 4, 5]
    assert result == whole[1]
    assert same(weights_in(tmp_path / "out"), weights_in(whole[0]))
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_run_killed_while_it_wrote_its_results_writes_them_again(tmp_path, checkpoint, data, monkeypatch):
    request = a_request(data, checkpoint, tmp_path / "out", steps=2)

    def die(described):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("backends.training.lora.results.model_card", die)
        with pytest.raises(KeyboardInterrupt):
            train_lora(request)
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    steps = []
    train_lora(request, on_progress=lambda step, total, message: steps.append(step) or True)
    assert steps == []
    assert answers_of(checkpoint, tmp_path / "out", data)


def test_a_finished_run_is_not_taken_again_and_not_written_over(whole, checkpoint, data, distilling):
    out, result = whole
    before = (out / "adapter_model.safetensors").stat().st_mtime_ns
    request = a_request(data, checkpoint, out, **distilling)
    assert train_lora(request, on_progress=lambda *one: pytest.fail("it was trained again")) == result
    with pytest.raises(InputError, match="other settings"):
        train_lora(request.model_copy(update={"seed": 1}))
    assert (out / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_where_memory_runs_out_fewer_are_shown_at_once_and_the_step_is_the_same(
    tmp_path, checkpoint, data, distilling, monkeypatch, caplog
):
    changes = distilling | {"batch": 4, "accumulation": 1, "steps": 2, "dropout": 0.0}
    expected = train_lora(a_request(data, checkpoint, tmp_path / "roomy", **changes))
    real = Student.answer_losses

    def narrow(student, batch):
        losses = real(student, batch)
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses

    monkeypatch.setattr(Student, "answer_losses", narrow)
    found = train_lora(a_request(data, checkpoint, tmp_path / "narrow", **changes))
    assert found["conversations_at_once"] == 1
    assert [one.getMessage() for one in caplog.records if "out of memory" in one.getMessage()] == [
        "out of memory; from now on 2 conversations at a time, as many a step",
        "out of memory; from now on 1 conversations at a time, as many a step",
    ]
    for one, other in zip(found["curve"], expected["curve"], strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_where_not_even_one_fits_it_says_what_to_change(tmp_path, checkpoint, data, monkeypatch):
    def none_fits(student, batch):
        raise MemoryError

    monkeypatch.setattr(Student, "answer_losses", none_fits)
    with pytest.raises(BackendError, match="even with one conversation at a time") as caught:
        train_lora(a_request(data, checkpoint, tmp_path / "out"))
    assert "\n" not in str(caught.value)


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("where", "kept"), [("checkpoints.save_file", ["step_000002"]), ("results.save_adapter", ["step_000003"])]
)
def test_a_full_disk_costs_nothing_that_was_kept(tmp_path, checkpoint, data, monkeypatch, where, kept):
    request = a_request(data, checkpoint, tmp_path / "out", steps=3, checkpoint_every=1)
    train_lora(request, on_progress=stopping_after(2))
    with monkeypatch.context() as patched:
        patched.setattr(f"backends.training.lora.{where}", full)
        with pytest.raises(InputError, match="No space left on device; make room") as caught:
            train_lora(request)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    assert [path.name for path in (tmp_path / "out" / "checkpoints").glob("*step_*")] == kept
    steps = []
    train_lora(request, on_progress=lambda step, total, message: steps.append(step) or True)
    assert steps == ([3] if where.startswith("checkpoints") else [])


def test_a_checkpoint_of_other_settings_or_data_is_not_gone_on_with(tmp_path, checkpoint, data):
    request = a_request(data, checkpoint, tmp_path / "out")
    train_lora(request, on_progress=stopping_after(1))
    with pytest.raises(BackendError, match="begun with another learning_rate"):
        train_lora(request.model_copy(update={"learning_rate": 1e-5}))
    other = shutil.copytree(data, tmp_path / "data")
    (other / "conversations.jsonl").write_text((data / "conversations.jsonl").read_text().replace("view", "plane"))
    with pytest.raises(BackendError, match="begun with another data_sha256"):
        train_lora(request.model_copy(update={"data": other}))
    moved = request.model_copy(update={"data": shutil.copytree(data, tmp_path / "moved")})
    assert train_lora(moved)["steps"] == 4


def test_two_trainings_into_one_folder_do_not_get_into_each_others_way(tmp_path, checkpoint, data):
    request = a_request(data, checkpoint, tmp_path / "out", steps=1)
    refusals = []

    def once_more(step, total, message):
        with pytest.raises(JobError, match="already running") as caught:
            train_lora(request)
        refusals.append(str(caught.value))
        return True

    assert not train_lora(request, on_progress=once_more)["cancelled"]
    assert len(refusals) == 1


def test_a_damaged_checkpoint_is_named(tmp_path, checkpoint, data):
    request = a_request(data, checkpoint, tmp_path / "out")
    train_lora(request, on_progress=stopping_after(1))
    path = tmp_path / "out" / checkpoints.FOLDER / "step_000001" / "state.pt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BackendError, match="step_000001 is damaged") as caught:
        train_lora(request)
    assert "\n" not in str(caught.value)

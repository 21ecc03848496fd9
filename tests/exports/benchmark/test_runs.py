"""Run files: nothing that was answered is lost, whatever moment a run is killed at."""

from pathlib import Path

import pytest

from annotator.errors import InputError
from exports.benchmark.runs import RUNS, RunFile, read_runs, settle_plan
from tests.exports.benchmark.runs import FREE, a_head, a_plan, an_answer, an_outcome, frames, write_run


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    some = frames(3)
    answers = [an_answer(frame) for frame in some]
    run = write_run(tmp_path / "a.jsonl", a_head(), *answers, an_outcome()).read()
    assert run is not None
    assert list(run.answers.values()) == answers
    assert run.head == a_head()
    assert run.outcome == an_outcome()
    assert run.peak_memory_mib == 800


def test_a_line_that_was_torn_at_any_byte_loses_only_itself(tmp_path: Path) -> None:
    some = frames(2)
    file = write_run(tmp_path / "a.jsonl", a_head(), an_answer(some[0]))
    whole = file.path.read_bytes()
    last = an_answer(some[1])
    line = last.model_dump_json().encode() + b"\n"
    for length in range(0, len(line), 37):
        file.path.write_bytes(whole + line[:length])
        run = file.read()
        assert run is not None
        assert list(run.answers) == [(some[0].frame_id, "eight fields")]
        file.append([last])
        assert file.path.read_bytes() == whole + line


def test_answers_of_other_weights_do_not_count(tmp_path: Path) -> None:
    (frame,) = frames(1)
    file = write_run(tmp_path / "a.jsonl", a_head(), an_answer(frame), an_outcome())
    file.append([a_head(model_sha256="sha-retrained")])
    run = file.read()
    assert run is not None
    assert run.answers == {}
    assert run.peak_memory_mib is None


def test_a_file_that_is_no_run_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(a_head().model_dump_json() + "\n" + '{"record": "cake"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl: line 2 is no record"):
        RunFile(tmp_path / "a.jsonl").read()


def test_a_file_that_does_not_exist_or_is_empty_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert RunFile(tmp_path / "absent.jsonl").read() is None
    assert RunFile(tmp_path / "empty.jsonl").read() is None


def test_the_models_that_were_named_come_first_and_plain_before_other_wordings(tmp_path: Path) -> None:
    for label, variant in (("alpha", "plain"), ("beta", "modality"), ("beta", "plain"), ("gamma", "plain")):
        write_run(tmp_path / RUNS / f"{label}-{variant}.jsonl", a_head(label, variant))
    keys = [run.key for run in read_runs(tmp_path, ["gamma", "beta"])]
    assert keys == ["gamma", "beta", "beta (modality)", "alpha"]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (lambda some: a_plan(some[:2]), "other frames"),
        (lambda some: a_plan(some, FREE), "other questions"),
        (lambda some: a_plan(some, profile_sha256="another"), "other questions"),
        (lambda some: a_plan(some[:1], sentence="An ultrasound image."), "other frames and words for the modality"),
    ],
)
def test_a_folder_of_another_benchmark_is_refused(tmp_path: Path, other, told: str) -> None:
    some = frames(3)
    settle_plan(tmp_path, a_plan(some))
    settle_plan(tmp_path, a_plan(some))
    with pytest.raises(InputError, match=told):
        settle_plan(tmp_path, other(some))

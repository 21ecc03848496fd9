"""`evaluate --answers`: from a file to its report, with the workspace's splits where there is a workspace."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from annotator.cli import cli
from annotator.commands.evaluating import evaluate_answers, splits_of
from annotator.errors import InputError
from annotator.store import Store
from tests.builders import a_frame
from tests.exports.answer_files import SERVER_ERROR, write_interpretations


def test_a_report_in_words_begins_with_what_is_wrong(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 30, lambda field, truth, chance: SERVER_ERROR)
    outcome = CliRunner().invoke(cli, ["--workspace", str(tmp_path / "w"), "evaluate", "--answers", str(path)])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith("ERRORS: 100.0 % of the answers (240 of 240) are server errors, not text\n")
    assert not (tmp_path / "w").exists()


def test_two_files_give_one_document_with_their_difference(tmp_path: Path) -> None:
    right = write_interpretations(tmp_path / "right.jsonl", 20, lambda field, truth, chance: truth)
    wrong = write_interpretations(tmp_path / "wrong.jsonl", 20, lambda field, truth, chance: "nothing")
    arguments = ["evaluate", "--answers", str(right), "--answers", str(wrong), "--json"]
    outcome = CliRunner().invoke(cli, ["--workspace", str(tmp_path / "w"), *arguments])
    document = json.loads(outcome.output)
    assert any(
        line.startswith("wrong.jsonl: COLLAPSED: 1 distinct answer among 160") for line in document["verdicts"]
    )
    assert document["paired"]["pairs"] == 160
    assert document["paired"]["figures"]["anatomical_structures"]["value"] == 1.0


def test_frames_of_the_workspace_tell_what_was_trained_on(tmp_path: Path) -> None:
    with_split = [a_frame(seed, f"{seed:05}.png", split="train" if seed < 3 else "test") for seed in range(10)]
    store = Store(tmp_path / "w")
    store.add_frames(with_split)
    store.close()
    path = write_interpretations(tmp_path / "a.jsonl", 10, lambda field, truth, chance: truth)
    document = evaluate_answers(tmp_path / "w", path).document
    assert document["sanity"]["on_train_frames"] == 24
    assert document["scored"] == 56
    assert evaluate_answers(tmp_path / "w", path, split="test").document["sanity"]["answers"] == 56
    with pytest.raises(InputError, match="no answer is on a frame of split holdout"):
        evaluate_answers(tmp_path / "w", path, split="holdout")


def test_an_image_is_known_by_its_id_or_by_a_file_name_of_one_split() -> None:
    frames = [
        a_frame(1, "a.png", split="train"),
        a_frame(2, "a.png", split="test"),
        a_frame(3, "b.png", split="test"),
        a_frame(4, "c.png"),
    ]
    images = [frames[0].frame_id, f"frames/{frames[1].frame_id}.png", "a.png", "elsewhere/b.png", "c.png", "d.png"]
    assert splits_of(images, frames) == {images[0]: "train", images[1]: "test", "elsewhere/b.png": "test"}


def test_more_than_two_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one file, or two to compare; got 3"):
        evaluate_answers(tmp_path, [tmp_path / "a"] * 3)

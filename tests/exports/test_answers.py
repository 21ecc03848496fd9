"""Files of answers are read whatever wrote them, and what cannot be used is said."""

import json
import random
from pathlib import Path

import pytest

from annotator.errors import InputError
from exports.answers import LONGEST_ANSWER, read_answers
from tests.exports.answer_files import write_rows

ROW = {"image": "a.png", "field": "image_quality", "answer": "good", "expected": "good"}


def test_a_row_is_read_with_all_that_it_tells(tmp_path: Path) -> None:
    row = {**ROW, "subject": "s1", "split": "test", "finish_reason": "stop", "prompt": "How good is it?"}
    (answer,) = read_answers(write_rows(tmp_path / "a.jsonl", [row])).answers
    assert (answer.key, answer.answer, answer.expected) == (("a.png", "image_quality"), "good", "good")
    assert (answer.unit, answer.split, answer.prompt) == ("s1", "test", "How good is it?")


def test_order_does_not_matter(tmp_path: Path) -> None:
    rows = [{**ROW, "image": f"{number}.png", "answer": f"answer {number}"} for number in range(30)]
    mixed = random.Random(0).sample(rows, len(rows))
    first, second = (read_answers(write_rows(tmp_path / "a.jsonl", one)).answers for one in (rows, mixed))
    assert sorted(first, key=lambda one: one.key) == sorted(second, key=lambda one: one.key)


@pytest.mark.parametrize(
    "row",
    [
        {"file_name": "a.png", "question": "image_quality", "prediction": "good", "ground_truth": "good"},
        {"image_paths": ["a.png"], "field": "image_quality", "response": "good", "reference": "good"},
        {"Image": "a.png", " Field ": "image_quality", "ANSWER": "good", "Expected": "good"},
        {"image": "a.png", "answer": {"image_quality": "good"}, "expected": {"image_quality": "good"}},
        {"image": "a.png", "task": "vqa", "question": "image_quality", "answer": "good", "expected": "good"},
    ],
)
def test_other_usual_columns_are_understood(tmp_path: Path, row: dict[str, object]) -> None:
    (answer,) = read_answers(write_rows(tmp_path / "a.jsonl", [row])).answers
    assert (*answer.key, answer.answer, answer.expected) == ("a.png", "image_quality", "good", "good")


def test_renamed_columns_are_said(tmp_path: Path) -> None:
    file = read_answers(write_rows(tmp_path / "a.jsonl", [{"img": "a.png", "response": "x"}]))
    assert file.notes == ["read `img` as the image, `response` as the answer"]


def test_the_last_of_doubled_answers_counts_and_they_are_counted(tmp_path: Path) -> None:
    file = read_answers(
        write_rows(tmp_path / "a.jsonl", [ROW, {**ROW, "answer": "poor"}, {**ROW, "answer": "poor"}])
    )
    assert [answer.answer for answer in file.answers] == ["poor"]
    assert (file.doubled, file.contradicting) == (2, 1)
    assert "2 answers are to an image and question that were answered before, 1 of them otherwise" in file.notes[0]


def test_answers_that_are_missing_are_counted(tmp_path: Path) -> None:
    rows = [{**ROW, "image": f"{n}.png", "field": field} for n in range(10) for field in ("image_quality", "q3")]
    file = read_answers(write_rows(tmp_path / "a.jsonl", rows[:-1]))
    assert file.missing == 1
    assert "1 pairs of image and question" in file.notes[0]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"{not json\n", "1 lines left out, no JSON: line 1"),
        (b"[1, 2]\n", "no JSON object: line 1"),
        (b"null\n", "no JSON object: line 1"),
        (b"[" * 100_000 + b"\n", "no JSON: line 1"),
        (b'{"field": "image_quality", "answer": "good"}\n', "no image: line 1"),
        (b'{"image": null, "answer": "good"}\n', "no image: line 1"),
        (b'{"image": "b.png", "ans', "no JSON"),
    ],
)
def test_an_unusable_line_is_left_out_with_its_number(tmp_path: Path, content: bytes, note: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content + b"\n" + json.dumps(ROW).encode())
    file = read_answers(path)
    assert len(file.answers) == 1
    assert note in " ".join(file.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "each line must be a JSON object"),
        (b"image,field,answer\na.png,image_quality,good\n", "each line must be a JSON object"),
        (b'[{"image": "a.png", "answer": "x"}]', "jq -c"),
        (b'{"picture": "a.png", "answer": "x"}', r"no column for the image \(.*found the columns picture, answer"),
        (b'{"image": "a.png", "verdict": "x"}', r"no column for the answer \(.*found the columns image, verdict"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "each line must be a JSON object"),
    ],
)  # fmt: skip
def test_a_file_without_answers_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_answers(path)
    assert "\n" not in str(caught.value)
    assert "a.jsonl" in str(caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError, match="no such file of answers"):
            read_answers(path)


def test_a_byte_order_mark_windows_lines_and_stray_bytes_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b'\r\n\r\n{"image": "b.png", "answer": "f\xe9mur"}\r\n'
    )
    assert [answer.image for answer in read_answers(path).answers] == ["a.png", "b.png"]


def test_a_megabyte_of_answer_is_cut_and_its_length_kept(tmp_path: Path) -> None:
    (answer,) = read_answers(write_rows(tmp_path / "a.jsonl", [{**ROW, "answer": "heart " * 300_000}])).answers
    assert len(answer.answer) == LONGEST_ANSWER
    assert answer.characters == len("heart " * 300_000) - 1


@pytest.mark.parametrize("nothing", [None, float("nan"), "", "   "])
def test_what_stands_for_nothing_is_no_reference(tmp_path: Path, nothing: object) -> None:
    (answer,) = read_answers(write_rows(tmp_path / "a.jsonl", [{**ROW, "expected": nothing}])).answers
    assert answer.expected is None


def test_numbers_and_lists_are_answers_too(tmp_path: Path) -> None:
    rows = [
        {**ROW, "image": str(place), "answer": said} for place, said in enumerate((20, ["heart", "liver"], True))
    ]
    file = read_answers(write_rows(tmp_path / "a.jsonl", rows))
    assert [answer.answer for answer in file.answers] == ["20", "heart, liver", "True"]


def test_an_error_column_tells_a_failed_call_only_where_it_says_something(tmp_path: Path) -> None:
    rows = [{"image": "a", "error": "HTTP 500", "answer": None}, {"image": "b", "error": False, "answer": "x"}]
    assert [one.error for one in read_answers(write_rows(tmp_path / "a.jsonl", rows)).answers] == ["HTTP 500", None]

"""What is learnt from a folder of conversations, and how each fault in it is told."""

import json

import pytest

from annotator.errors import InputError
from backends.engine import Phase
from backends.training.lora.conversations import read_conversations
from tests.backends.training.lora.builders import (
    ANSWERS,
    PROMPTS,
    a_line,
    some_lines,
    with_answer,
    write_conversations,
)


def refusal(folder):
    with pytest.raises(InputError) as caught:
        read_conversations(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_line_becomes_a_question_with_its_answer(tmp_path):
    write_conversations(tmp_path, some_lines(count=5))
    read = read_conversations(tmp_path)
    assert [one.task for one in read.learnt] == list(Phase)
    assert [one.prompt for one in read.learnt] == [PROMPTS[task] for task in ANSWERS]
    assert [one.answer for one in read.learnt] == list(ANSWERS.values())
    assert all(one.image.is_file() and one.image.stem == one.image_id for one in read.learnt)
    assert read.by_task == dict.fromkeys(ANSWERS, 1)


def test_only_the_train_split_is_learnt_from_and_what_is_left_out_is_counted(tmp_path):
    lines = [a_line(0, "detect"), a_line(1, "detect", split="val"), a_line(2, "detect", split=None)]
    write_conversations(tmp_path, [*lines, with_answer(a_line(3, "interpret"), "  ")])
    read = read_conversations(tmp_path)
    assert [one.line for one in read.learnt] == [1]
    assert read.left_out == {"not of split train": 2, "empty answer": 1}


def test_a_frame_in_which_nothing_was_found_is_learnt_from_beside_others(tmp_path):
    write_conversations(tmp_path, [a_line(0, "detect"), with_answer(a_line(1, "detect"), "[]")])
    assert [one.answer for one in read_conversations(tmp_path).learnt] == [ANSWERS["detect"], "[]"]


def a_turn_too_many(line):
    return line | {"messages": line["messages"] * 2}


def no_image_in_the_question(line):
    asked, answered = line["messages"]
    return line | {"messages": [asked | {"content": asked["content"][1:]}, answered]}


def an_empty_question(line):
    asked, answered = line["messages"]
    parts = [asked["content"][0], {"type": "text", "text": " "}]
    return line | {"messages": [asked | {"content": parts}, answered]}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda line: line | {"task": "guess"}, "'guess' is not a valid Phase"),
        (lambda line: {key: value for key, value in line.items() if key != "task"}, "'task'"),
        (lambda line: {key: value for key, value in line.items() if key != "frame_id"}, "'frame_id'"),
        (lambda line: line | {"messages": []}, "its turns are []"),
        (lambda line: line | {"messages": None}, "no conversation of one question"),
        (a_turn_too_many, "its turns are"),
        (no_image_in_the_question, "its question is made of ['text']"),
        (an_empty_question, "its question is empty"),
        (lambda line: with_answer(line, None), "no conversation of one question"),
        (lambda line: line | {"image": "../elsewhere.png"}, "outside of"),
        (lambda line: line | {"image": "/etc/hostname"}, "outside of"),
        (lambda line: line | {"image": "images/none.png"}, "missing, though line 2"),
        (lambda line: [line], "is no JSON object"),
    ],
)
def test_a_spoilt_line_is_named_by_its_number(tmp_path, spoil, says):
    lines = some_lines(count=3)
    write_conversations(tmp_path, lines)
    texts = [json.dumps(line) for line in (lines[0], spoil(lines[1]), lines[2])]
    (tmp_path / "conversations.jsonl").write_text("\n".join(texts))
    line = refusal(tmp_path)
    assert says in line
    assert "line 2" in line


def test_a_file_that_was_cut_off_is_not_taken_for_a_smaller_one(tmp_path):
    path = write_conversations(tmp_path, some_lines(count=3)) / "conversations.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert "line 3 is cut off" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "holds no conversation"),
        ([a_line(0, "detect", split="val"), a_line(1, "detect", split=None)], "none of its 2 conversations"),
        ([with_answer(a_line(number, "detect"), "[]") for number in range(3)], "all 3 answers are empty"),
        ([with_answer(a_line(number, "interpret"), "") for number in range(2)], "all 2 answers are empty"),
    ],
)
def test_nothing_to_learn_from_is_said(tmp_path, lines, says):
    write_conversations(tmp_path, lines)
    assert says in refusal(tmp_path)


def test_a_folder_without_conversations_says_how_to_make_them(tmp_path):
    assert "annotator export conversations" in refusal(tmp_path)

"""FETAL-GAUGE's questions in our own form: accuracy for each task, their mean, and no claim beyond that."""

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.commands.suites import evaluate_suite
from annotator.errors import InputError
from exports.suites import open_suite
from exports.suites.fetal_gauge import FetalGauge, chosen

OPTIONS = ["cephalic", "breech", "transverse"]


def a_question(number: int = 0, **more: Any) -> dict[str, Any]:
    known = {
        "id": f"q{number}",
        "image": f"{number}.png",
        "task": "orientation",
        "question": "How does the fetus lie?",
        "options": OPTIONS,
        "answer": "breech",
        "subject": f"s{number // 2}",
    }
    return known | more


def a_suite(folder: Path, *questions: dict[str, Any]) -> Path:
    for one in questions:
        (folder / str(one.get("image", "x.png"))).write_bytes(b"\x89PNG of it")
    (folder / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    return folder


def four(folder: Path) -> Path:
    plane = {"task": "plane", "options": ["four-chamber", "LVOT"], "answer": "LVOT"}
    return a_suite(folder, a_question(0), a_question(1), a_question(2), a_question(3, **plane))


def test_tasks_count_alike_whatever_their_size(tmp_path: Path) -> None:
    document = FetalGauge(four(tmp_path)).score({"q0": "breech", "q1": "Breech.", "q2": "cephalic", "q3": "LVOT"})
    assert document["tasks"]["orientation"]["value"] == pytest.approx(2 / 3)
    assert document["tasks"]["plane"]["value"] == 1.0
    assert document["macro_accuracy"]["value"] == pytest.approx(5 / 6)
    low, high = document["macro_accuracy"]["ci95"]
    assert low < 5 / 6 <= high
    assert document["tasks"]["orientation"]["subjects"] == 2


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("breech", "breech"),
        ("  Breech. ", "breech"),
        ("B", "breech"),
        ("b)", "breech"),
        ("(B) breech", "breech"),
        ("B: breech", "breech"),
        ("B. cephalic", None),  # letter and text disagree
        ("D", None),
        ("breech or transverse", None),
        ("", None),
    ],
)
def test_an_option_may_be_told_by_text_or_letter(answer: str, option: str | None) -> None:
    assert chosen(answer, OPTIONS) == option


def test_what_is_no_option_counts_as_wrong_and_unread(tmp_path: Path) -> None:
    task = FetalGauge(four(tmp_path)).score({"q0": "", "q1": "?", "q2": "breech", "q3": "A"})["tasks"][
        "orientation"
    ]
    assert (task["value"], task["parse_rate"], task["n"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 3)


def test_questions_name_their_options_by_letter(tmp_path: Path) -> None:
    first = next(open_suite("fetal-gauge", four(tmp_path)).questions())
    assert (first.id, first.task, first.options) == ("q0", "orientation", tuple(OPTIONS))
    assert first.image == b"\x89PNG of it"
    assert "B. breech" in first.prompt


def test_the_report_says_that_the_form_is_ours(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": f"q{n}", "response": "B"}) + "\n" for n in range(4)))
    result = evaluate_suite(tmp_path, "fetal-gauge", four(tmp_path), answers)
    assert result.text.startswith("FETAL-GAUGE (own format, data not published): mean accuracy 1.0000")
    assert "GPT-5" in result.text


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([a_question(answer="oblique")], "its answer 'oblique' is none of its options"),
        ([a_question(), a_question()], "two questions have the id q0"),
        ([{"id": "q", "image": "a.png"}], "a question lacks task, question, answer"),
        ([a_question(options="breech")], "options are a list of texts"),
        ([], "no question in it"),
    ],
)
def test_a_suite_that_cannot_be_used_is_refused(tmp_path: Path, questions: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FetalGauge(a_suite(tmp_path, *questions))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no questions\.jsonl"):
        FetalGauge(tmp_path)
    suite = FetalGauge(a_suite(tmp_path, a_question()))
    (tmp_path / "0.png").unlink()
    with pytest.raises(InputError, match=r"question q0: .*0\.png cannot be read"):
        list(suite.questions())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "q0", "answer": "B"}'] * 2, "q0 is answered twice"),
        (['{"id": "q9", "answer": "B"}'], "q9 are ids of no question"),
        (['{"answer": "B"}'], "an answer needs id and answer"),
        (["{"], "line 1 is no JSON"),
        (["[]"], "line 1 is no JSON object"),
    ],
)
def test_answers_that_cannot_be_joined_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError, match=message):
        FetalGauge(four(tmp_path)).answers_in(tmp_path / "answers.jsonl")


def test_a_question_without_an_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 of 4 questions have no answer, the first is q1"):
        FetalGauge(four(tmp_path)).score({"q0": "B"})

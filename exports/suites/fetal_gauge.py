"""FETAL-GAUGE (arXiv:2512.22278) in a form of our own: its data and format are not published yet.

    questions.jsonl    one object a line: id, image, task, question, options, answer; subject where it is known

`image` is a file below the folder. When the suite is out, its files must be brought into this form, and our figures
may differ from its own by its rules of scoring, which nobody outside knows yet.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotator.errors import InputError
from exports.suites.intervals import Draws, Sums, interval, mean_of, mean_over
from exports.suites.marking import plain
from exports.suites.predictions import json_objects
from exports.suites.published import FETAL_GAUGE
from exports.suites.records import SuiteQuestion

LABEL = "own format, data not published"
QUESTIONS = "questions.jsonl"
TASKS = ("plane", "anatomy", "visual grounding", "orientation", "view conformity", "clinical diagnosis")
_NEEDED = ("id", "image", "task", "question", "answer")
_NAMED = 3


@dataclass(frozen=True)
class _Question:
    id: str
    image: Path
    task: str
    question: str
    options: tuple[str, ...]
    answer: str
    unit: str


class FetalGauge:
    """The suite's visual questions, by accuracy for each task and their plain mean."""

    name = "fetal-gauge"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._questions = _read(folder)

    def questions(self) -> Iterator[SuiteQuestion]:
        """Every question with its image; InputError where that is missing."""
        for one in self._questions:
            try:
                content = one.image.read_bytes()
            except OSError as error:
                raise InputError(f"question {one.id}: {one.image} cannot be read: {error.strerror}") from None
            yield SuiteQuestion(one.id, one.task, content, _prompt(one), one.options)

    def answers_in(self, path: Path) -> dict[str, str]:
        """Answers from JSON lines of id and answer (or response, prediction); exactly one a question."""
        answers: dict[str, str] = {}
        for row in json_objects(path):
            key = str(row.get("id", ""))
            said = next((name for name in ("answer", "response", "prediction") if name in row), None)
            if not key or said is None:
                raise InputError(f"{path}: an answer needs id and answer; found {', '.join(map(str, row))}")
            if key in answers:
                raise InputError(f"{path}: {key} is answered twice; one answer a question")
            answers[key] = "" if row[said] is None else str(row[said])
        known = {one.id for one in self._questions}
        if stray := [key for key in answers if key not in known]:
            raise InputError(f"{path}: {', '.join(stray[:_NAMED])} are ids of no question")
        return answers

    def score(self, answers: Mapping[str, str]) -> dict[str, Any]:
        """Accuracy for each task and their mean; an option's letter counts as the option."""
        if missing := [one.id for one in self._questions if one.id not in answers]:
            raise InputError(
                f"{len(missing)} of {len(self._questions)} questions have no answer, the first is {missing[0]}"
            )
        by_task: dict[str, list[tuple[_Question, str | None]]] = defaultdict(list)
        for one in self._questions:
            by_task[one.task].append((one, chosen(answers[one.id], one.options)))
        draws = Draws([one.unit for one in self._questions])
        sums = {task: _sums(pairs) for task, pairs in by_task.items()}
        drawn = {task: draws.of(one) for task, one in sums.items()}
        tasks = {
            task: {
                "value": sums[task].value,
                "ci95": interval(drawn[task]),
                "n": len(pairs),
                "subjects": len({one.unit for one, _ in pairs}),
                "parse_rate": sum(said is not None for _, said in pairs) / len(pairs),
            }
            for task, pairs in by_task.items()
        }
        return {
            "suite": self.name,
            "label": LABEL,
            "macro_accuracy": {
                "value": float(np.mean([one["value"] for one in tasks.values()])),
                "ci95": interval(mean_over(list(drawn.values()))),
            },
            "tasks": tasks,
            "resampled_by": "subject where the file names one, else image",
        }

    def as_text(self, document: Mapping[str, Any]) -> str:
        """The figures as a table, what is published beside them."""
        total = document["macro_accuracy"]
        low, high = total["ci95"]
        lines = [f"FETAL-GAUGE ({LABEL}): mean accuracy {total['value']:.4f} ({low:.4f} to {high:.4f})", ""]
        for name, task in document["tasks"].items():
            low, high = task["ci95"]
            lines.append(
                f"{name:20} {task['value']:.4f} ({low:.4f} to {high:.4f}); n = {task['n']:,}, "
                f"{task['subjects']:,} units, {100 * task['parse_rate']:.1f} % could be read"
            )
        lines += [f"published: {row.name} {row.score:.2f} ({row.source}); other questions" for row in FETAL_GAUGE]
        return "\n".join([*lines, f"Resampled by {document['resampled_by']}."])


def chosen(answer: str, options: Sequence[str]) -> str | None:
    """The option that an answer is, by its text or its letter; the answer itself where there are none; else None.

    >>> chosen("B. breech", ("cephalic", "breech")), chosen("(a)", ("cephalic", "breech")), chosen("no", ("yes",))
    ('breech', 'cephalic', None)
    """
    said = plain(answer)
    if not options:
        return said or None
    known = {plain(option): plain(option) for option in options}
    if said in known:
        return said
    found = re.fullmatch(r"\(?([a-z])\)?(?:[.:)]\s*(.*))?", said)
    if not found or ord(found.group(1)) - ord("a") >= len(options):
        return None
    option = plain(options[ord(found.group(1)) - ord("a")])
    return option if not found.group(2) or plain(found.group(2)) == option else None


def _sums(pairs: Sequence[tuple[_Question, str | None]]) -> Sums:
    rows = [[float(said == plain(one.answer)), 1.0] for one, said in pairs]
    return Sums([one.unit for one, _ in pairs], np.array(rows, np.float64), mean_of)


def _prompt(one: _Question) -> str:
    if not one.options:
        return one.question
    listed = "\n".join(f"{chr(ord('A') + place)}. {option}" for place, option in enumerate(one.options))
    return f"{one.question}\n{listed}\nAnswer with the text of one option and nothing else."


def _read(folder: Path) -> list[_Question]:
    path = folder / QUESTIONS
    if not path.is_file():
        raise InputError(f"{folder}: no {QUESTIONS}; the data are not published, docs/benchmarks.md has the form")
    found: dict[str, _Question] = {}
    for row in json_objects(path):
        if lacking := [name for name in _NEEDED if row.get(name) in (None, "")]:
            raise InputError(f"{path}: a question lacks {', '.join(lacking)}; it has {', '.join(map(str, row))}")
        one = _question(folder, row)
        if one.id in found:
            raise InputError(f"{path}: two questions have the id {one.id}")
        found[one.id] = one
    if not found:
        raise InputError(f"{path}: no question in it")
    return list(found.values())


def _question(folder: Path, row: Mapping[str, Any]) -> _Question:
    options = row.get("options") or []
    listed = options.values() if isinstance(options, dict) else options
    if not isinstance(options, dict | list):
        raise InputError(f"question {row['id']}: options are a list of texts, got {options!r}")
    one = _Question(
        id=str(row["id"]),
        image=folder / str(row["image"]),
        task=str(row["task"]),
        question=str(row["question"]),
        options=tuple(str(option) for option in listed),
        answer=str(row["answer"]),
        unit=str(row.get("subject") or row["image"]),
    )
    if one.options and chosen(one.answer, one.options) != plain(one.answer):
        raise InputError(f"question {one.id}: its answer {one.answer!r} is none of its options")
    return one

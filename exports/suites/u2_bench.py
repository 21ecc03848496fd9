"""U2-BENCH (arXiv:2505.17779) from the folder that the user downloaded: eight tasks, questions, score."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from annotator.errors import InputError
from exports.suites.intervals import Array, Draws, Sums, interval, mean_over
from exports.suites.marking import FLAWS, Marked, mark
from exports.suites.predictions import Place, read_predictions
from exports.suites.records import SuiteQuestion
from exports.suites.tables import read_table
from exports.suites.tasks import TASKS, Task, dataset_of, u2_score
from exports.suites.truths import NEEDED, Truth, options_of, question_id, truth_of
from exports.suites.u2_report import as_text

PairScore = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


class U2Bench:
    """The suite. `bertscore`, where given, scores (answer, reference) pairs of reports and captions in 0..1."""

    name = "u2-bench"

    def __init__(self, folder: Path, bertscore: PairScore | None = None) -> None:
        self.folder, self._bertscore = folder, bertscore
        self.files, self.left_out = _find_files(folder)
        if not self.files:
            folders = ", ".join(task.folder for task in TASKS.values())
            raise InputError(f"{folder}: no .tsv of a task; the suite's folders are {folders}")

    def questions(self) -> Iterator[SuiteQuestion]:
        """Every question with its image, a row in memory at a time; InputError where image or prompt is missing."""
        for (name, dataset), file in self.files.items():
            task = TASKS[name]
            for row in read_table(file, NEEDED[task.kind]):
                prompt = row.values.get("prompt", "")
                if not prompt:
                    raise InputError(f"{file.name}: row {row.number} has no prompt; the suite asks by its own")
                yield SuiteQuestion(question_id(task, dataset, row), name, row.image(), prompt, options_of(row))

    def answers_in(self, path: Path) -> dict[str, str]:
        """Answers by question id, from a tree of the kits or a file of our own."""
        keys = {place: [key for key, _ in rows] for place, rows in self._rows.items()}
        answers = read_predictions(path, keys)
        known = {f"{name.lower()}/{dataset}/{key}" for (name, dataset), listed in keys.items() for key in listed}
        if stray := [one for one in answers if one not in known]:
            raise InputError(f"{path}: {', '.join(stray[:3])} are ids of no question in {self.folder}")
        return answers

    def score(self, answers: Mapping[str, str]) -> dict[str, Any]:
        """Score by the published formula, flaws mended, the value as the kits code it beside; see `FLAWS`.

        A data set that no answer is on is absent and its task incomplete; one answered in part is refused.
        """
        truths = {place: self._truths_of(place, answers) for place in self._rows}
        truths = {place: found for place, found in truths.items() if found}
        if not truths:
            raise InputError("none of the answers is to a question of this suite; ids are such as dd/21/0")
        marked = {
            place: mark(TASKS[place[0]].kind, found, [answers[truth.id] for truth in found])
            for place, found in truths.items()
        }
        draws = Draws([truth.unit for found in truths.values() for truth in found])
        return _document(self, truths, marked, draws, self._bert_scores(truths, answers))

    def as_text(self, document: Mapping[str, Any]) -> str:
        """The figures as tables, the published rows beside ours."""
        return as_text(document)

    @cached_property
    def _rows(self) -> dict[Place, list[tuple[str, Truth | None]]]:
        """For each data set the key and truth of each row, without its image."""
        found: dict[Place, list[tuple[str, Truth | None]]] = {}
        for (name, dataset), file in self.files.items():
            task = TASKS[name]
            rows = [(row.key, truth_of(task, dataset, row)) for row in read_table(file, NEEDED[task.kind])]
            if len({key for key, _ in rows}) != len(rows):
                raise InputError(f"{file.name}: two rows have one id; download it again")
            found[name, dataset] = rows
        return found

    def _truths_of(self, place: Place, answers: Mapping[str, str]) -> list[Truth]:
        truths = [truth for _, truth in self._rows[place] if truth is not None]
        there = [truth for truth in truths if truth.id in answers]
        if there and len(there) < len(truths):
            missing = next(truth.id for truth in truths if truth.id not in answers)
            raise InputError(
                f"{place[0]}, data set {place[1]}: {len(there)} of {len(truths)} questions are answered; "
                f"the first without an answer is {missing}"
            )
        return there

    def _bert_scores(self, truths: Mapping[Place, list[Truth]], answers: Mapping[str, str]) -> dict[Place, float]:
        if self._bertscore is None:
            return {}
        return {
            place: 100 * float(np.mean(self._bertscore([(answers[truth.id], truth.text) for truth in found])))
            for place, found in truths.items()
            if TASKS[place[0]].kind == "text"
        }


def _find_files(folder: Path) -> tuple[dict[Place, Path], list[str]]:
    """The .tsv of each data set, in the order of the tasks, and the names of those that no score takes."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that the suite was downloaded to")
    found: dict[Place, Path] = {}
    left_out: list[str] = []
    for task in TASKS.values():
        for file in sorted((folder / task.folder).glob("**/*.tsv")):
            dataset = dataset_of(task, file.stem)
            if dataset is None:
                left_out.append(f"{task.folder}/{file.name}")
            elif (task.name, dataset) in found:
                other = found[task.name, dataset].name
                raise InputError(f"{task.folder}: {other} and {file.name} are both data set {dataset}; keep one")
            else:
                found[task.name, dataset] = file
    return found, left_out


def _document(
    suite: U2Bench,
    truths: Mapping[Place, list[Truth]],
    marked: Mapping[Place, Marked],
    draws: Draws,
    bert_scores: Mapping[Place, float],
) -> dict[str, Any]:
    tasks, shares, coded_shares, drawn_shares = {}, {}, {}, {}
    for task in TASKS.values():
        places = [(task.name, one) for one in task.datasets if (task.name, one) in marked]
        if not places:
            continue
        drawn = mean_over([draws.of(marked[place].mended) for place in places])
        figures = {place[1]: _dataset(truths[place], marked[place], bert_scores.get(place)) for place in places}
        tasks[task.name] = _task(task, figures, drawn)
        shares[task.name] = _share(task, tasks[task.name]["value"])
        coded_shares[task.name] = _share(task, tasks[task.name]["as_coded"])
        drawn_shares[task.name] = _share(task, drawn)
    return {
        "suite": suite.name,
        "u2_score": _total(shares, drawn_shares),
        # what the kits give: no result of a task is a value of 0, which for an error is the best one
        "u2_score_as_coded": u2_score({name: coded_shares.get(name, _share(TASKS[name], 0.0)) for name in TASKS}),
        "tasks": tasks,
        "flaws_mended": list(FLAWS),
        "left_out": suite.left_out,
        "resampled_by": "patient where the suite names one, else row",
        "bertscore": "absent: give the folder of its encoder" if not bert_scores else "given",
    }


def _dataset(truths: Sequence[Truth], marked: Marked, bert_score: float | None) -> dict[str, Any]:
    further = dict(marked.further) | ({"BERTScore F1 x 100": bert_score} if bert_score is not None else {})
    return {
        "value": marked.mended.value,
        "as_coded": _value(marked.as_coded),
        "n": len(truths),
        "parse_rate": marked.readable / len(truths),
        "subjects": len({truth.unit for truth in truths}),
        **further,
    }


def _value(sums: Sums) -> float | None:
    value = sums.value
    return None if math.isnan(value) else value


def _task(task: Task, figures: Mapping[str, dict[str, Any]], drawn: Array) -> dict[str, Any]:
    """The plain mean over the data sets that are there."""
    coded = [figure["as_coded"] for figure in figures.values() if figure["as_coded"] is not None]
    extra = sorted({name for figure in figures.values() for name in figure} - _OWN)
    total = sum(figure["n"] for figure in figures.values())
    return {
        "title": task.title,
        "metric": METRICS[task.kind],
        "weight": task.weight,
        "value": float(np.mean([figure["value"] for figure in figures.values()])),
        "ci95": interval(drawn),
        "as_coded": float(np.mean(coded)) if coded else 0.0,
        "n": total,
        "subjects": sum(figure["subjects"] for figure in figures.values()),
        "parse_rate": sum(figure["parse_rate"] * figure["n"] for figure in figures.values()) / total,
        "missing_datasets": [one for one in task.datasets if one not in figures],
        **{name: _mean_known([figure.get(name) for figure in figures.values()]) for name in extra},
        "datasets": dict(figures),
    }


METRICS = {
    "class": "accuracy",
    "location": "accuracy",
    "value": "RMSE on the scaled range",
    "text": "BLEU-4 in 0..1",
}
_OWN = frozenset({"value", "as_coded", "n", "parse_rate", "subjects"})


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _share(task: Task, value: Any) -> Any:
    """What a task's value adds to the score, before its weight."""
    return 1.0 - value if task.kind == "value" else value


def _total(shares: Mapping[str, float], drawn: Mapping[str, Array]) -> dict[str, Any]:
    """The score with its interval; absent unless all eight tasks are there."""
    missing = [name for name in TASKS if name not in shares]
    if missing:
        return {"value": None, "reason": f"no answers to {', '.join(missing)}; the score is of all eight tasks"}
    stacked = sum(TASKS[name].weight * np.clip(drawn[name], 0.0, 1.0) for name in TASKS)
    return {"value": u2_score(dict(shares)), "ci95": interval(np.asarray(stacked))}

"""How one answer of U2-BENCH is marked: as its kits code it, and with their flaws mended."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exports.answers import LONGEST_ANSWER
from exports.suites.intervals import Sums, mean_of, root_mean_of
from exports.suites.tasks import Kind
from exports.suites.texts import bleu_4, bleu_columns, rouge_l
from exports.suites.truths import LOCATIONS, Truth, number, scaled

FAILED = "failed"
TOLERANCE = 0.1
FLAWS = (
    "answers are joined by the order of rows; here by id",
    "an answer that cannot be read leaves numerator and denominator; here it is wrong, a value by its whole range",
    "a location counts as wrong for a space, a full stop or quotes around it; here these are stripped",
    "every stray answer is a class of its own in macro F1; here the classes are those of the truth",
    "clinical values without any result count as an error of 0, .07 for nothing; here all tasks are needed",
)


@dataclass(frozen=True)
class Marked:
    """One data set's answers: what the two scores are made of, further figures, and how many could be read."""

    mended: Sums
    as_coded: Sums
    readable: int
    further: dict[str, float | None]


def mark(kind: Kind, truths: Sequence[Truth], answers: Sequence[str]) -> Marked:
    """Mark a data set; answers are in the order of its truths."""
    pairs = [(truth, answer[:LONGEST_ANSWER]) for truth, answer in zip(truths, answers, strict=True)]
    if kind == "value":
        return _values(pairs)
    return _texts(pairs) if kind == "text" else _labels(kind, pairs)


Pairs = list[tuple[Truth, str]]


def plain(text: str) -> str:
    """An answer as it is compared: lower case, one space, no quotes, brackets or full stop around it.

    >>> plain('  "Upper  Left". ')
    'upper left'
    """
    words = re.sub(r"\s+", " ", text).strip().lower()
    return words.strip("'\"`[]. ")


def _labels(kind: Kind, pairs: Pairs) -> Marked:
    """Classes and locations. Labels that are all whole numbers are compared as numbers, as the kits do."""
    known = {truth.text for truth, _ in pairs} | {plain(one) for truth, _ in pairs for one in truth.options}
    known |= set(LOCATIONS) if kind == "location" else set()
    are_numbers = kind == "class" and all(re.fullmatch(r"-?\d+", truth.text) for truth, _ in pairs)
    said = [_as_number(answer) if are_numbers else plain(answer) for _, answer in pairs]
    coded = [_as_coded(kind, answer, are_numbers) for _, answer in pairs]
    hits = [one == truth.text for one, (truth, _) in zip(said, pairs, strict=True)]
    kept = [place for place, one in enumerate(coded) if one is not None]
    units = [truth.unit for truth, _ in pairs]
    meant = [truth.text for truth, _ in pairs]
    coded_rows = [[float(coded[place] == meant[place]), 1.0] for place in kept]
    return Marked(
        mended=Sums(units, _rows([[float(hit), 1.0] for hit in hits], 2), mean_of),
        as_coded=Sums([units[place] for place in kept], _rows(coded_rows, 2), mean_of),
        readable=sum(one in known for one in said),
        further=_f1(meant, said, [(meant[place], coded[place] or "") for place in kept]) if kind == "class" else {},
    )


def _f1(meant: Sequence[str], said: Sequence[str], coded: Sequence[tuple[str, str]]) -> dict[str, float | None]:
    """Macro figures over the truth's classes, and as the kits code them: over all that were meant or said."""
    everything = sorted({one for pair in coded for one in pair})
    as_coded = macro([pair[0] for pair in coded], [pair[1] for pair in coded], everything)
    return macro(meant, said, sorted(set(meant))) | {f"{name} as coded": one for name, one in as_coded.items()}


def _as_number(answer: str) -> str:
    found = plain(answer)
    return str(int(found)) if re.fullmatch(r"[+-]?\d+", found) else found


def _as_coded(kind: Kind, answer: str, are_numbers: bool) -> str | None:
    """What the kits compare; None where they leave the row out."""
    if kind == "location":
        return None if answer.lower() == FAILED else answer.lower()
    found = answer.strip().strip("'\"")
    if not are_numbers:
        return found.lower()
    try:
        return str(int(found))
    except ValueError:
        return None


def macro(meant: Sequence[str], said: Sequence[str], labels: Sequence[str]) -> dict[str, float | None]:
    """Macro precision, recall and F1 over `labels`; a label without answers or truths has 0 there.

    >>> macro(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])["F1"]
    0.6666666666666666
    """
    scores = []
    for label in labels:
        hits = sum(one == label == two for one, two in zip(meant, said, strict=True))
        found, there = sum(one == label for one in said), sum(one == label for one in meant)
        precision, recall = hits / found if found else 0.0, hits / there if there else 0.0
        scores.append((precision, recall, 2 * hits / (found + there) if found + there else 0.0))
    means = np.mean(scores, axis=0) if scores else [math.nan] * 3
    names = ("macro precision", "macro recall", "F1")
    return {name: float(value) if scores else None for name, value in zip(names, means, strict=True)}


def _values(pairs: Pairs) -> Marked:
    """RMSE on the scaled range; a value that cannot be read is off by the whole range."""
    errors = [
        scaled(truth.value, truth.dataset) - scaled(number(answer.strip()), truth.dataset)
        for truth, answer in pairs
    ]
    readable = [place for place, error in enumerate(errors) if math.isfinite(error)]
    mended = [error if math.isfinite(error) else 1.0 for error in errors]
    units = [truth.unit for truth, _ in pairs]
    kept = np.array([errors[place] for place in readable])
    return Marked(
        mended=Sums(units, _rows([[error**2, 1.0] for error in mended], 2), root_mean_of),
        as_coded=Sums(
            [units[place] for place in readable], _rows([[error**2, 1.0] for error in kept], 2), root_mean_of
        ),
        readable=len(readable),
        further={
            "MAE": float(np.mean(np.abs(mended))) if mended else None,
            "Std of errors": float(np.std(mended)) if mended else None,
            f"% within {TOLERANCE}": float(np.mean(np.abs(mended) <= TOLERANCE) * 100) if mended else None,
            "MAE as coded": float(np.mean(np.abs(kept))) if readable else None,
            "Std of errors as coded": float(np.std(kept)) if readable else None,
            f"% within {TOLERANCE} as coded": float(np.mean(np.abs(kept) <= TOLERANCE) * 100) if readable else None,
        },
    )


def _texts(pairs: Pairs) -> Marked:
    """Corpus BLEU-4; the kits' way has no flaw that changes it."""
    columns = _rows([bleu_columns(answer, truth.text) for truth, answer in pairs], 10)
    sums = Sums([truth.unit for truth, _ in pairs], columns, bleu_4)
    rouge = [rouge_l(answer, truth.text) for truth, answer in pairs]
    return Marked(
        mended=sums,
        as_coded=sums,
        readable=sum(bool(answer.strip()) for _, answer in pairs),
        further={"ROUGE-L x 100": 100 * float(np.mean(rouge)) if rouge else None},
    )


def _rows(rows: list[list[float]], width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(rows, np.float64).reshape(len(rows), width)

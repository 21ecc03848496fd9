"""What the answers of U2-BENCH are compared with, as its kits read it from a row."""

import ast
import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

from exports.suites.tables import TableRow
from exports.suites.tasks import RANGES, VALUE_KEYS, Kind, Task

LOW, HIGH = 0.45, 0.55
LOCATIONS = (
    *("upper left", "upper center", "upper right", "middle left", "center", "middle right"),
    *("lower left", "lower center", "lower right", "not visible"),
)
NEEDED: dict[Kind, tuple[str, ...]] = {
    "class": ("label",),
    "location": ("box", "keypoints"),
    "value": ("measurement",),
    "text": ("report", "caption"),
}


@dataclass(frozen=True)
class Truth:
    """One question's reference: text of a class, location or report, or a number; `unit` is what is resampled."""

    id: str
    task: str
    dataset: str
    unit: str
    text: str = ""
    value: float = math.nan
    options: tuple[str, ...] = ()


def question_id(task: Task, dataset: str, row: TableRow) -> str:
    """The id of a question within the suite."""
    return f"{task.name.lower()}/{dataset}/{row.key}"


def truth_of(task: Task, dataset: str, row: TableRow) -> Truth | None:
    """The reference of a row; None where the row has none, which the kits leave out too."""
    number = re.match(r"\d*", dataset)
    patient = row.values.get("patient") or f"row {row.key}"
    unit = f"{number.group() if number else ''} {patient}"
    bare = Truth(question_id(task, dataset, row), task.name, dataset, unit)
    if task.kind == "value":
        value = clinical_value(row.values.get("measurement", ""), dataset)
        return replace(bare, value=value) if math.isfinite(value) else None
    text = _reference(task, row)
    return replace(bare, text=text, options=options_of(row)) if text else None


def _reference(task: Task, row: TableRow) -> str:
    if task.kind == "class":
        return class_name(row.values.get("label", ""))
    if task.kind == "location":
        names = ("keypoints", "box") if task.name == "KD" else ("box", "keypoints")
        return location(next((row.values[name] for name in names if row.values.get(name)), ""))
    first, second = ("report", "caption") if task.name == "RG" else ("caption", "report")
    return row.values.get(first) or row.values.get(second, "")


def options_of(row: TableRow) -> tuple[str, ...]:
    """The closed options of a row: the values of its `options`, in their order."""
    found = literal(row.values.get("options", ""))
    if isinstance(found, dict):
        found = list(found.values())
    return tuple(str(one) for one in found) if isinstance(found, list | tuple) else ()


def class_name(text: str) -> str:
    """A class as it is compared: lower case, brackets and quotes stripped; of an object its anatomy or first value.

    >>> class_name("['Benign']"), class_name('{"Anatomy": "Liver"}'), class_name("3")
    ('benign', 'liver', '3')
    """
    found = literal(text)
    if isinstance(found, dict) and found:
        text = str(found.get("Anatomy", next(iter(found.values()))))
    return text.replace("[", "").replace("]", "").lower().strip().strip("'\"").strip()


def location(text: str) -> str:
    """Where the centre of the first box or point lies, of nine fields whose borders are at .45 and .55.

    >>> location("{'nodule': [0.2, 0.5, 0.1, 0.1]}"), location("[{'a': [0.5, 0.5]}]"), location("")
    ('middle left', 'center', 'not visible')
    """
    entry = literal(text)
    while isinstance(entry, dict | list | tuple) and entry:
        if isinstance(entry, dict):
            entry = next(iter(entry.values()))
        elif isinstance(entry[0], dict | list | tuple):
            entry = entry[0]
        else:
            break
    if not isinstance(entry, list | tuple) or len(entry) < 2:
        return "not visible"
    x, y = (number(one) for one in entry[:2])
    if math.isnan(x) or math.isnan(y):
        return "not visible"
    row = "upper" if y < LOW else "middle" if y < HIGH else "lower"
    column = "left" if x < LOW else "center" if x < HIGH else "right"
    return "center" if (row, column) == ("middle", "center") else f"{row} {column}"


def clinical_value(text: str, dataset: str) -> float:
    """The measured value of a row, NaN where there is none.

    >>> clinical_value("{'EF': 55.0}", "18"), clinical_value("{'IMT': [0.7, 0.8]}", "27")
    (55.0, 0.7)
    """
    found = literal(text)
    if isinstance(found, list | tuple) and found and isinstance(found[0], dict):
        found = next(iter(found[0].values()), None)
    elif isinstance(found, dict):
        found = found.get(VALUE_KEYS[dataset])
    while isinstance(found, list | tuple) and found:
        found = found[0]
    return number(found)


def scaled(value: float, dataset: str) -> float:
    """A clinical value on its published range, 0..1 within it, not clipped."""
    low, high = RANGES[dataset]
    return (value - low) / (high - low)


def number(value: Any) -> float:
    """A number, NaN for anything else.

    >>> number(" 12.5 "), number("12 mm")
    (12.5, nan)
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def literal(text: str) -> Any:
    """An object written as JSON or with single quotes; None where it is neither."""
    if not text.startswith(("{", "[", "(")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None

"""Answers to U2-BENCH in its published forms, joined by id: a tree of JSON lines or .xlsx, or one file of our own.

    {cla|measurement|seg|report}/{dataset}/{model}/*.jsonl      id, response
    {cla|measurement|seg|report}/{dataset}/{model}/*.xlsx       index, prediction (VLMEvalKit)
    one .jsonl                                                  id (such as "dd/21/0"), response

The kits join by the order of rows; here a row without an id, a doubled one or one too few is an error.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.errors import InputError
from exports.suites.tasks import CATEGORIES, TASKS, Task, dataset_of

ANSWERS = ("response", "prediction", "answer")
_IDS = ("id", "index")
_NAMED = 3

Pairs = list[tuple[str, str]]
Place = tuple[str, str]
"""A task's name and a data set's id."""


def read_predictions(path: Path, rows: Mapping[Place, Sequence[str]]) -> dict[str, str]:
    """Answers by question id; `rows` gives the keys of each data set's rows in order.

    InputError where a file's rows are not exactly those of its data set.
    """
    if path.is_file() and path.suffix == ".jsonl" and _is_our_own(path):
        pairs = _pairs(path)
        _refuse_doubled(path, pairs)
        return dict(pairs)
    listed = [path] if path.is_file() else sorted(path.rglob("*"))
    files = [file for file in listed if file.suffix in (".jsonl", ".xlsx")]
    if not files:
        raise InputError(f"{path}: no .jsonl and no .xlsx; predictions lie at cla/21/MODEL/*.jsonl and the like")
    taken: dict[Place, Path] = {}
    answers: dict[str, str] = {}
    for file in files:
        place = place_of(file)
        if place is None or place not in rows:
            continue
        if place in taken:
            raise InputError(
                f"{path}: {taken[place]} and {file} both answer data set {place[1]}; give one model's folder"
            )
        taken[place] = file
        answers |= _joined(file, place, rows[place])
    if not taken:
        raise InputError(
            f"{path}: no file lies at CATEGORY/DATASET/ ({', '.join(CATEGORIES)}) of a data set that is here"
        )
    return answers


def place_of(file: Path) -> Place | None:
    """Which data set of which task a file answers, by the folders it lies in; None where the score knows none.

    >>> place_of(Path("out/seg/04/MedDr/a.jsonl")), place_of(Path("out/cla/03.jsonl"))
    (('LL', '04'), ('VRA', '03'))
    """
    parts = [*file.parent.parts, file.stem]
    depth, tasks = _tasks_named(parts)
    # below the category comes the data set; VLMEvalKit also ends its file's name in it
    names = [*parts[depth + 1 : depth + 2], *([file.stem.rpartition("_")[2]] if file.suffix == ".xlsx" else [])]
    for name in names:
        for task in tasks:
            found = dataset_of(task, name)
            if found is not None and (len(tasks) == 1 or _is_exactly(name, found)):
                return task.name, found
    return None


def _tasks_named(parts: Sequence[str]) -> tuple[int, list[Task]]:
    """How deep the nearest folder of a category or of a task lies, and the tasks that it allows."""
    for depth in reversed(range(len(parts))):
        name = parts[depth].lower()
        found = [task for task in TASKS.values() if name in (task.category, task.folder, task.name.lower())]
        if found:
            return depth, found
    return 0, []


def _is_exactly(part: str, dataset: str) -> bool:
    """Whether a name means this data set and not its namesake in another task (28 and 28_1, 74is_...)."""
    plain = part.lower().replace("_", "").lstrip("0")
    meant = dataset.lower().replace("_", "").lstrip("0")
    return plain == meant or (plain.startswith(meant) and not plain[len(meant)].isdigit())


def _joined(file: Path, place: Place, keys: Sequence[str]) -> dict[str, str]:
    pairs = _pairs(file)
    if len(pairs) != len(keys):
        raise InputError(f"{file}: {len(pairs)} answers for the {len(keys)} rows of data set {place[1]}")
    _refuse_doubled(file, pairs)
    if unknown := [key for key, _ in pairs if key not in set(keys)]:
        raise InputError(f"{file}: {_some(unknown)} are ids of no row of data set {place[1]}")
    are_numbers = list(keys) == [str(number) for number in range(len(keys))]
    if are_numbers and [key for key, _ in pairs] != list(keys):
        raise InputError(f"{file}: the ids are row numbers out of order; what they number is unsure, sort them")
    return {f"{place[0].lower()}/{place[1]}/{key}": answer for key, answer in pairs}


def _refuse_doubled(file: Path, pairs: Pairs) -> None:
    seen: set[str] = set()
    doubled = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if doubled:
        raise InputError(f"{file}: {_some(doubled)} answered twice; one answer a row")


def _is_our_own(path: Path) -> bool:
    """Whether the ids are those of the suite's questions."""
    first = next(iter(json_objects(path)), {})
    return str(first.get("id", "")).partition("/")[0].upper() in TASKS


def _pairs(file: Path) -> Pairs:
    pairs = []
    for number, row in enumerate(_sheet(file) if file.suffix == ".xlsx" else json_objects(file), 1):
        key = next((row[name] for name in _IDS if row.get(name) not in (None, "")), None)
        if key is None:
            raise InputError(f"{file}: answer {number} has no id; answers are joined by id, never by order")
        said = next((name for name in ANSWERS if name in row), None)
        if said is None:
            raise InputError(
                f"{file}: answer {number} has no {' or '.join(ANSWERS)}; found {', '.join(map(str, row))}"
            )
        pairs.append((str(key), "" if row[said] is None else str(row[said])))
    return pairs


def json_objects(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines; InputError names the line that is none."""
    if not file.is_file():
        raise InputError(f"{file}: no such file of JSON lines")
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"{file}: line {number} is no JSON") from None
            if not isinstance(row, dict):
                raise InputError(f"{file}: line {number} is no JSON object")
            yield row


def _sheet(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of the first sheet; a whole number that Excel made of an id is written as one."""
    try:
        import openpyxl
    except ImportError:
        raise InputError(f"{file}: reading .xlsx needs pip install 'fetal-annotator[spreadsheets]'") from None
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [str(name).strip().lower() for name in next(rows, ())]
        found = [dict(zip(header, row, strict=False)) for row in rows if any(one is not None for one in row)]
        book.close()
    except Exception as error:  # on a damaged file its readers raise anything
        raise InputError(f"{file}: no readable .xlsx: {' '.join(str(error).split())[:100]}") from None
    for row in found:
        yield {key: int(one) if isinstance(one, float) and one.is_integer() else one for key, one in row.items()}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

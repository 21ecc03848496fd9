"""Scores in long form, one row a grade: read from a CSV of anyone's or from our own rows, checked, and written.

The table that comes out has every known column: text as `str`, grades as 1.0, 2.0, 3.0 or NaN beside the column
`not_gradable`, numbers as floats with NaN where nothing was noted, and two of its own: `unit`, what is resampled
(the subject, else the case), and `showing`, 0 for the first grade of a reader for a version and up for its repeats.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from annotator.errors import InputError
from annotator.files import write_atomically
from review.codebook import BY_NAME, COLUMNS, REQUIRED, codebook_rows
from review.scores_values import clean_text, parse_flag, parse_grade, parse_number, parse_whole

FOREIGN = "given "  # before the names of columns that are not ours, so that none can stand in for one of ours
KEY = ["case", "reader", "mode", "version", "dimension", "repeat"]
GIVEN_CASE = FOREIGN + "case"
FACTS = ("subject", "site", "scanner", "plane", "split")
LONGEST_FIELD = 16 * 1024 * 1024
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARSERS = {"grade": parse_grade, "number": parse_number, "whole": parse_whole, "flag": parse_flag}


@dataclass(frozen=True)
class ScoresTable:
    """Checked scores. `columns` are those that the source had; `notes` say what was read with allowance."""

    rows: pd.DataFrame
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What the intervals resample: "subject" where every row names one, else "case"."""
        return "subject" if "subject" in self.columns and (self.rows["subject"] != "").all() else "case"

    def has(self, column: str) -> bool:
        """Tell whether the source had anything in the column."""
        if column not in self.columns:
            return False
        values = self.rows[column]
        return bool((values != "").any() if BY_NAME[column].kind == "text" else values.notna().any())


def read_scores(path: Path) -> ScoresTable:
    """Read a CSV in long form: UTF-8 with or without a mark, comma, semicolon or tab between the fields."""
    text = _decoded(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[int] = []
    records: list[list[str]] = []
    try:
        header = [clean_text(name).lower().replace(" ", "_") for name in next(reader, [])]
        _check_header(header, path.name)
        for record in reader:
            if any(field.strip() for field in record):
                records.append(_of_width(record, len(header), path.name, reader.line_num))
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: {error}; save it again as CSV") from None
    table = pd.DataFrame(records, columns=header, dtype=object)
    return _checked(table, lines, path.name, decimal_comma=delimiter == ";")


def table_from_rows(rows: Iterable[Mapping[str, object]], source: str = "the study") -> ScoresTable:
    """Check rows that come from a store or a simulation, by the same rules as a CSV; None is an empty field."""
    records = [{name: _as_text(value) for name, value in row.items()} for row in rows]
    header = list(dict.fromkeys(name for record in records for name in record)) or list(REQUIRED)
    _check_header(header, source)
    table = pd.DataFrame(records, columns=header, dtype=object).fillna("")
    return _checked(table, list(range(1, len(records) + 1)), source, decimal_comma=False)


def write_scores(table: ScoresTable, path: Path) -> None:
    """Write the source's columns as a CSV that spreadsheets open without running anything in it."""
    shown = pd.DataFrame({_harmless(name): _for_writing(table.rows, name) for name in table.columns})
    write_atomically(path, shown.to_csv(index=False, lineterminator="\n").encode())


def write_codebook(columns: Iterable[str], path: Path) -> None:
    """Write what each column means, as a CSV."""
    rows = pd.DataFrame(codebook_rows(columns)).map(_harmless)
    write_atomically(path, rows.to_csv(index=False, lineterminator="\n").encode())


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a CSV file of scores") from None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path.name}, line {line}: not UTF-8; save it as 'CSV UTF-8' and try again") from None


def _of_width(record: list[str], width: int, source: str, line: int) -> list[str]:
    if len(record) != width:
        raise InputError(f"{source}, line {line}: {len(record)} fields where the header names {width}")
    return record


def _check_header(header: Sequence[str], source: str) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        found = ", ".join(clean_text(name)[:40] for name in header[:30]) or "nothing"
        raise InputError(f"{source}: column {', '.join(missing)} is missing; found {found}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{source}: column {', '.join(twice)} stands twice in the header")


def _checked(raw: pd.DataFrame, lines: list[int], source: str, *, decimal_comma: bool) -> ScoresTable:
    if raw.empty:
        raise InputError(f"{source}: there is no row below the header")
    columns = tuple(name or f"unnamed_{place}" for place, name in enumerate(raw.columns, start=1))
    raw.columns = list(columns)
    rows = pd.DataFrame(index=raw.index)
    for column in COLUMNS:
        given = raw[column.name] if column.name in raw else pd.Series("", index=raw.index, dtype=object)
        rows[column.name] = _parsed(given, column.name, lines, source, decimal_comma=decimal_comma)
    for name in columns:
        if name not in BY_NAME:
            rows[FOREIGN + name] = raw[name].map(clean_text)
    rows["line"] = lines
    _refuse_empty(rows, source)
    rows["mode"], rows["dimension"] = rows["mode"].str.lower(), rows["dimension"].str.lower()
    rows["repeat"] = rows["repeat"].fillna(0).astype(int)
    rows[GIVEN_CASE] = rows["case"]
    if rows["study"].nunique() > 1:
        rows["case"] = rows["study"] + ": " + rows["case"]  # each study numbers its own cases
    rows["not_gradable"] = rows["grade"] == 0
    for name in ("grade", "suggested_grade"):
        rows[name] = rows[name].replace(0.0, float("nan"))
    _refuse_duplicates(rows, source)
    notes = [*_fill_facts(rows, source), *_forgive_clocks(rows)]
    named = (rows["subject"] != "").all()
    rows["unit"] = rows["subject"] if named else rows["case"]
    rows = rows.sort_values(KEY, kind="stable").reset_index(drop=True)
    rows["showing"] = rows.groupby(KEY[:-1], sort=False).cumcount()
    return ScoresTable(rows, columns, tuple(notes))


def _parsed(given: pd.Series, name: str, lines: list[int], source: str, *, decimal_comma: bool) -> pd.Series:
    kind = BY_NAME[name].kind
    texts = given.map({text: clean_text(text) for text in given.unique()})
    if kind == "text":
        return texts
    if decimal_comma:
        texts = texts.str.replace(",", ".", regex=False)
    known: dict[str, float] = {}
    for text in texts.unique():
        try:
            known[text] = _PARSERS[kind](text)
        except ValueError as error:
            line = lines[int((texts == text).to_numpy().argmax())]
            raise InputError(f"{source}, line {line}: {name} {text[:40]!r} {error}") from None
    return texts.map(known).astype(float)


def _refuse_empty(rows: pd.DataFrame, source: str) -> None:
    for name in REQUIRED:
        empty = rows[name].isna() if name == "grade" else rows[name] == ""
        if empty.any():
            hint = "; write NG for not gradable" if name == "grade" else ""
            raise InputError(f"{source}, line {rows['line'][empty].iloc[0]}: {name} is empty{hint}")


def _refuse_duplicates(rows: pd.DataFrame, source: str) -> None:
    twice = rows.duplicated(KEY, keep=False)
    if twice.any():
        first = rows[twice].iloc[0]
        same = rows[(rows[KEY] == first[KEY]).all(axis=1)]["line"].tolist()
        named = ", ".join(f"{name} {str(first[name])[:40]!r}" for name in KEY[:-1])
        raise InputError(
            f"{source}: lines {same[0]} and {same[1]} grade the same thing ({named}); "
            "keep one, or number hidden repeats in the column 'repeat'"
        )


def _fill_facts(rows: pd.DataFrame, source: str) -> list[str]:
    """What is true of a case is true in all its rows: fill gaps, refuse contradictions."""
    notes = []
    for name in FACTS:
        known = rows.loc[rows[name] != "", ["case", name]].drop_duplicates()
        twice = known[known["case"].duplicated(keep=False)]
        if not twice.empty:
            case = twice["case"].iloc[0]
            values = " and ".join(repr(value[:40]) for value in twice.loc[twice["case"] == case, name][:2])
            raise InputError(f"{source}: case {case[:40]!r} has {values} as {name}; a case has one")
        gaps = rows[name] == ""
        rows[name] = rows["case"].map(dict(zip(known["case"], known[name], strict=True))).astype(object).fillna("")
        filled = int((gaps & (rows[name] != "")).sum())
        if filled:
            notes.append(f"{filled} empty fields of {name} were filled from other rows of the same case.")
    some = (rows["subject"] != "").any()
    if some and not (rows["subject"] != "").all():
        notes.append("Some cases name no subject, so cases and not subjects are taken as independent.")
    return notes


def _forgive_clocks(rows: pd.DataFrame) -> list[str]:
    notes = []
    for name in ("seconds", "edit_seconds"):
        negative = rows[name] < 0
        if negative.any():
            rows.loc[negative, name] = float("nan")
            notes.append(f"{int(negative.sum())} negative {name} (a clock that was set back) were left out.")
    return notes


def _as_text(value: object) -> str:
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def _for_writing(rows: pd.DataFrame, name: str) -> pd.Series:
    kind = BY_NAME[name].kind if name in BY_NAME else "text"
    if kind == "text":
        return rows[name if name in BY_NAME and name != "case" else FOREIGN + name].map(_harmless)
    texts = rows[name].map(lambda value: "" if pd.isna(value) else f"{value:.12g}")
    return texts.mask(rows["not_gradable"], "NG") if name == "grade" else texts


def _harmless(value: Any) -> str:
    """Spreadsheets run a field that begins like a formula; an apostrophe makes it text. Reading takes it away."""
    text = str(value)
    return "'" + text if text.startswith(FORMULA) else text

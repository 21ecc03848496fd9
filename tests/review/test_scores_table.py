import csv
from pathlib import Path

import pytest

from annotator.errors import InputError
from review.codebook import COLUMNS, codebook_rows
from review.scores_table import read_scores, table_from_rows, write_codebook, write_scores
from tests.review.scores import HEADER, a_row, simulated_study, write_csv

GOOD = "c1,anna,autonomous,v1,annotation,2\n"


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "scores.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# What people's files hold, and what must be said about it.
BAD = {
    "no header": (b"", "column case, reader, mode, version, dimension, grade is missing"),
    "only a header": (f"{HEADER}\n", "no row below the header"),
    "blank rows only": (f"{HEADER}\n,,,,,\n", "no row below the header"),
    "a column is missing": (
        "case,reader,grade\nc1,anna,1\n",
        "column mode, version, dimension is missing; found case",
    ),
    "prose": (
        "Some words.\nA line, and more.\n",
        "column case, reader, mode, version, dimension, grade is missing",
    ),
    "a column stands twice": (f"{HEADER},case\n{GOOD[:-1]},c1\n", "column case stands twice"),
    "grade 4": (
        f"{HEADER}\nc1,anna,autonomous,v1,annotation,4\n",
        "line 2: grade '4' is not a grade; use 1, 2, 3 or NG",
    ),
    "grade 1.5": (f"{HEADER}\nc1,anna,autonomous,v1,annotation,1.5\n", "grade '1.5' is not a grade"),
    "no grade": (f"{HEADER}\n{GOOD}c2,anna,autonomous,v1,annotation,\n", "line 3: grade is empty; write NG"),
    "no reader": (f"{HEADER}\nc1,,autonomous,v1,annotation,1\n", "line 2: reader is empty"),
    "the same grade twice": (
        f"{HEADER}\n{GOOD}{GOOD}",
        "lines 2 and 3 grade the same thing (case 'c1', reader 'anna'",
    ),
    "too few fields": (f"{HEADER}\nc1,anna\n", "line 2: 2 fields where the header names 6"),
    "an open quote": (f'{HEADER}\n"c1,anna\n', "line 2: unexpected end of data"),
    "Latin-1": (
        f"{HEADER}\n".encode() + "c1,Jürgen,autonomous,v1,annotation,1\n".encode("latin-1"),
        "line 2: not UTF-8",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    "seconds in words": (f"{HEADER},seconds\n{GOOD[:-1]},long\n", "line 2: seconds 'long' is not a number"),
    "endless seconds": (f"{HEADER},seconds\n{GOOD[:-1]},inf\n", "is not a finite number"),
    "half a repeat": (f"{HEADER},repeat\n{GOOD[:-1]},0.5\n", "repeat '0.5' is not a whole number"),
    "two subjects of one case": (
        f"{HEADER},subject\n{GOOD[:-1]},s1\nc1,bo,autonomous,v1,annotation,1,s2\n",
        "case 'c1' has 's1' and 's2' as subject; a case has one",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_refused_with_the_line_and_the_mend(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    with pytest.raises(InputError) as refused:
        read_scores(written(tmp_path, content))
    assert message in str(refused.value)
    assert "scores.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_scores(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{GOOD}".encode(),
        b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD[:-1]}\r\n".encode(),
        f"{HEADER}\n{GOOD}".replace(",", ";").encode(),
        f"{HEADER}\n{GOOD}".replace(",", "\t").encode("utf-16"),
        f"{HEADER.title()}\n\n c1 , anna,Autonomous,v1,Annotation,2.0\n\n".encode(),
    ],
    ids=["plain", "marked and from Windows", "semicolons", "Excel's Unicode text", "loosely typed"],
)
def test_files_of_many_makers_are_read_alike(content: bytes, tmp_path: Path) -> None:
    rows = read_scores(written(tmp_path, content)).rows
    assert rows[["case", "reader", "mode", "version", "dimension", "grade"]].to_numpy().tolist() == [
        ["c1", "anna", "autonomous", "v1", "annotation", 2.0]
    ]


def test_a_decimal_comma_is_read_where_semicolons_separate(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "scores.csv", [a_row(seconds="12,5")], delimiter=";")
    assert read_scores(path).rows["seconds"].tolist() == [12.5]


def test_not_gradable_is_a_value_and_not_a_gap(tmp_path: Path) -> None:
    table = table_from_rows([a_row(grade="NG"), a_row("c2", "not gradable"), a_row("c3", 3)])
    assert table.rows["not_gradable"].tolist() == [True, True, False]
    write_scores(table, tmp_path / "out.csv")
    assert [row["grade"] for row in csv.DictReader((tmp_path / "out.csv").open())] == ["NG", "NG", "3"]


def test_facts_of_a_case_are_filled_in_and_the_filling_is_noted() -> None:
    rows = [a_row(subject="s1", site="Oslo"), a_row(reader="bo", subject="", site="")]
    table = table_from_rows(rows)
    assert table.rows["subject"].tolist() == ["s1", "s1"]
    assert table.unit == "subject"
    assert any("1 empty fields of site" in note for note in table.notes)


def test_times_of_a_clock_that_was_set_back_are_left_out() -> None:
    table = table_from_rows([a_row(seconds=-4), a_row("c2", seconds=5)])
    assert table.rows["seconds"].isna().tolist() == [True, False]
    assert any("clock" in note for note in table.notes)


def test_hidden_repeats_are_counted_from_the_first_showing_whatever_their_numbers() -> None:
    rows = [a_row(repeat=2), a_row(repeat=1), a_row("c2", repeat="no"), a_row("c2", repeat="yes")]
    assert table_from_rows(rows).rows[["case", "repeat", "showing"]].to_numpy().tolist() == [
        ["c1", 1, 0],
        ["c1", 2, 1],
        ["c2", 0, 0],
        ["c2", 1, 1],
    ]


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    table = table_from_rows(simulated_study(8))
    write_scores(table, tmp_path / "out.csv")
    again = read_scores(tmp_path / "out.csv")
    assert again.columns == table.columns
    assert again.rows.drop(columns="line").equals(table.rows.drop(columns="line"))


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_no_field_runs_as_a_formula_in_a_spreadsheet(formula: str, tmp_path: Path) -> None:
    rows = [a_row(formula, comment=formula, reader=formula, **{formula: formula})]
    table = table_from_rows(rows)
    write_scores(table, tmp_path / "out.csv")
    write_codebook(table.columns, tmp_path / "codebook.csv")
    fields = [
        field
        for name in ("out.csv", "codebook.csv")
        for line in csv.reader((tmp_path / name).open())
        for field in line
    ]
    assert formula not in fields
    assert f"'{formula}" in fields
    assert read_scores(tmp_path / "out.csv").rows["comment"].tolist() == [formula]


def test_a_long_comment_is_kept_whole(tmp_path: Path) -> None:
    comment = "<b>" + "long " * 40_000 + "</b>"
    path = write_csv(tmp_path / "scores.csv", [a_row(comment=comment)])
    assert read_scores(path).rows["comment"].tolist() == [comment]


def test_columns_of_others_are_kept_and_cannot_stand_in_for_ours(tmp_path: Path) -> None:
    table = table_from_rows([a_row(unit="ward 3", showing="9", not_gradable="x", colour="red")])
    assert table.rows["unit"].tolist() == ["c1"]
    write_scores(table, tmp_path / "out.csv")
    row = next(csv.DictReader((tmp_path / "out.csv").open()))
    assert (row["unit"], row["showing"], row["not_gradable"], row["colour"]) == ("ward 3", "9", "x", "red")


def test_studies_that_number_their_cases_alike_are_kept_apart(tmp_path: Path) -> None:
    rows = [a_row("case1", study=name, subject=f"s{name}") for name in ("one", "two")]
    table = table_from_rows(rows)
    assert table.rows["case"].nunique() == 2
    write_scores(table, tmp_path / "out.csv")
    assert [row["case"] for row in csv.DictReader((tmp_path / "out.csv").open())] == ["case1", "case1"]


def test_the_codebook_describes_every_column() -> None:
    described = codebook_rows([*(column.name for column in COLUMNS), "colour"])
    assert all(row["meaning"] for row in described)
    assert [row["column"] for row in described if row["required"] == "yes"] == HEADER.split(",")

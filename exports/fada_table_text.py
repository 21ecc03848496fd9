"""FADA's table in words: aligned for a terminal, and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exports.fada_table import COLUMNS, PUBLISHED_COLUMNS

_NOTHING = "-"


def as_text(document: Mapping[str, Any]) -> str:
    """Alarms first; then a row a run with its intervals below it, the paired differences, what was published."""
    lines = list(_alarms(document))
    lines += ["", _measured_on(document), *aligned(_rows(document)), *_orders(document)]
    if document["differences"]:
        lines += ["", f"Paired differences, {document['test']}:", *aligned(_differences(document))]
    published = document["published"]
    lines += ["", f"For comparison only, {published['note']}:", *aligned(_published(published["rows"]))]
    return "\n".join(lines).strip()


def as_markdown(document: Mapping[str, Any]) -> str:
    """The same as Markdown tables; measured and published figures never share one."""
    columns = document["columns"]
    rows = [["model", *columns.values()]]
    for name, row in document["rows"].items():
        rows.append([name, *(_with_interval(row["figures"].get(column)) for column in columns)])
    parts = [*(f"> {line}" for line in _alarms(document)), "", _measured_on(document), "", *piped(rows)]
    if orders := _orders(document):
        parts += ["", *orders]
    if document["differences"]:
        parts += ["", f"Paired differences, {document['test']}:", "", *piped(_differences(document))]
    published = document["published"]
    parts += ["", f"For comparison only, {published['note']}:", "", *piped(_published(published["rows"]))]
    return "\n".join(parts).strip() + "\n"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def piped(rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _alarms(document: Mapping[str, Any]) -> Iterable[str]:
    for name, row in document["rows"].items():
        yield from (f"{name}: {line}" for line in row["alarms"])
    for name, count in document["frames_left_out"].items():
        if count:
            yield f"{name}: {count:,} frames are left out, for another run does not have them"


def _measured_on(document: Mapping[str, Any]) -> str:
    return (
        f"Measured on the same {document['frames']:,} frames of {document['subjects']:,} subjects, 95 % intervals:"
    )


def _rows(document: Mapping[str, Any]) -> list[list[str]]:
    columns = document["columns"]
    rows = [["model", *columns.values()]]
    for name, row in document["rows"].items():
        figures = [row["figures"].get(column) for column in columns]
        rows.append([name, *(value(figure) for figure in figures)])
        rows.append(["", *(interval(figure) for figure in figures)])
        rows.append(["", *(f"n = {figure['n']:,}" if figure else "" for figure in figures)])
    return rows


def _orders(document: Mapping[str, Any]) -> list[str]:
    """How far ties let average precision move."""
    lines = []
    for name, row in document["rows"].items():
        moved = [
            f"{COLUMNS[column]} {spread['lowest']:.4f} to {spread['highest']:.4f}"
            for column, figure in row["figures"].items()
            if (spread := figure.get("over_orders")) and spread["lowest"] < spread["highest"]
        ]
        if moved:
            lines.append(f"{name}, tied scores in other orders of the frames: {', '.join(moved)}")
    return lines


def _differences(document: Mapping[str, Any]) -> list[list[str]]:
    rows = [["difference", "column", "value", "95 % interval", "n", "p", "p (Holm)"]]
    for one in document["differences"]:
        names = f"{one['first']} - {one['second']}"
        p_values = [f"{one[key]:.3f}" for key in ("p", "p_holm")]
        rows.append(
            [names, COLUMNS[one["column"]], f"{one['value']:+.4f}", interval(one), f"{one['n']:,}", *p_values]
        )
    return rows


def _published(rows: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    head = ["published", *(COLUMNS[column] for column in PUBLISHED_COLUMNS)]
    return [head, *([name, *(f"{row[column]:.4f}" for column in PUBLISHED_COLUMNS)] for name, row in rows.items())]


def value(figure: Mapping[str, Any] | None) -> str:
    """The value of a figure to four decimals; a dash where there is none."""
    return _NOTHING if figure is None or figure["value"] is None else f"{figure['value']:.4f}"


def interval(figure: Mapping[str, Any] | None) -> str:
    """The 95 % interval of a figure; nothing where there is none."""
    if figure is None or "ci95" not in figure:
        return ""
    low, high = figure["ci95"]
    return f"{low:.3f} to {high:.3f}" if min(low, high) < 0 else f"{low:.3f}-{high:.3f}"


def _with_interval(figure: Mapping[str, Any] | None) -> str:
    return f"{value(figure)} ({interval(figure)}), n = {figure['n']:,}" if figure else _NOTHING

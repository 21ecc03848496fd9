"""U2-BENCH in words: our row beside the published ones, each task with its interval, and what to know of them."""

from collections.abc import Mapping
from typing import Any

from exports.suites.published import U2_BENCH, PublishedRow
from exports.suites.tasks import TASKS

OURS = "these answers"


def as_text(document: Mapping[str, Any]) -> str:
    """Score and warnings first, then the rows, then each task."""
    lines = [*_headline(document), "", *_rows(document), "", *_tasks(document), ""]
    lines.append("The kits' flaws mended here:")
    lines += [f"  {flaw}" for flaw in document["flaws_mended"]]
    if document["left_out"]:
        lines.append(f"not part of the score: {', '.join(document['left_out'])}")
    lines.append(f"BERTScore: {document['bertscore']}. Resampled by {document['resampled_by']}.")
    lines.append("Published figures were measured by others, with the flaws in.")
    return "\n".join(lines)


def _headline(document: Mapping[str, Any]) -> list[str]:
    total = document["u2_score"]
    if total["value"] is None:
        return [f"U2-score absent: {total['reason']}", *_gaps(document)]
    first = f"U2-score {total['value']:.4f}{_interval(total['ci95'])}"
    return [f"{first}; as the kits code it {document['u2_score_as_coded']:.4f}", *_gaps(document)]


def _gaps(document: Mapping[str, Any]) -> list[str]:
    return [
        f"NOT COMPARABLE: {name} lacks {len(task['missing_datasets'])} of {len(TASKS[name].datasets)} data sets "
        f"({', '.join(task['missing_datasets'])})"
        for name, task in document["tasks"].items()
        if task["missing_datasets"]
    ]


def _rows(document: Mapping[str, Any]) -> list[str]:
    names = list(TASKS)
    ours = PublishedRow(
        OURS,
        document["u2_score"]["value"],
        "measured here",
        {name: task["value"] for name, task in document["tasks"].items()},
    )
    header = f"{'':24} {' '.join(f'{name:>7}' for name in names)} {'U2':>7}"
    return [header, *(_row(row) for row in (ours, *U2_BENCH))]


def _row(row: PublishedRow) -> str:
    cells = " ".join(f"{row.tasks[name]:7.4f}" if name in row.tasks else f"{'-':>7}" for name in TASKS)
    score = f"{row.score:7.4f}" if row.score is not None else f"{'-':>7}"
    return f"{row.name:24} {cells} {score}  {row.source}"


def _tasks(document: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, task in document["tasks"].items():
        coded = f"; as coded {task['as_coded']:.4f}" if abs(task["as_coded"] - task["value"]) > 5e-5 else ""
        lines.append(
            f"{name:4} {task['title']}: {task['metric']} {task['value']:.4f}{_interval(task['ci95'])}{coded}; "
            f"n = {task['n']:,}, {task['subjects']:,} units, {100 * task['parse_rate']:.1f} % could be read"
        )
        further = {key: value for key, value in task.items() if key not in _SHOWN and isinstance(value, float)}
        if further:
            lines.append(f"     {', '.join(f'{key} {value:.4f}' for key, value in further.items())}")
    return lines


_SHOWN = frozenset({"weight", "value", "as_coded", "parse_rate"})


def _interval(bounds: list[float] | None) -> str:
    return f" ({bounds[0]:.4f} to {bounds[1]:.4f})" if bounds else ""

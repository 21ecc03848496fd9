"""`study report`: the figures of a reader study, from its CSV in long form or from the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.cli import Result
from annotator.commands.workspace import say
from annotator.errors import InputError

if TYPE_CHECKING:
    from review.scores_table import ScoresTable

if TYPE_CHECKING:
    from review.scores_table import ScoresTable


def report_scores(workspace: Path, scores: Path | None, study: str | None, out: Path | None) -> Result:
    """Write the report of a CSV of scores, without a store; `out` defaults to a folder among the exports."""
    from review.scores_table import read_scores

    if scores is None:
        raise InputError("name the scores with --scores FILE, a CSV in long form")
    table = read_scores(scores)
    title = study or scores.stem
    return report_table(table, out or workspace / "exports" / "reports" / scores.stem, title)


def report_table(table: "ScoresTable", folder: Path, title: str) -> Result:
    """Write the report of checked scores to a folder; the document is `figures.json` with the files' places."""
    from review.report import write_report

    say(f"analysing {len(table.rows)} grades")
    report = write_report(table, folder, title=title)
    files = {
        "report": str(report.page),
        "data": str(report.data),
        "codebook": str(report.codebook),
        "figures": str(report.figures),
    }
    return Result({"files": files, **report.document}, _in_words(report.document, files))


def _in_words(document: dict[str, Any], files: dict[str, str]) -> str:
    from review.report.methods import reading_notes
    from review.report.wording import counted, key_figures

    data = document["data"]
    lines = [
        f"{counted(data['grades'], 'grade')} of {counted(data['cases'], 'frame')} by "
        f"{counted(len(data['readers']), 'reader')}, {counted(len(data['versions']), 'version')}"
    ]
    lines += [f"  {card['label']}: {card['value']} ({card['detail']})" for card in key_figures(document)]
    lines += [f"  note: {line}" for line in reading_notes(document)]
    return "\n".join([*lines, f"report in {files['report']}"])

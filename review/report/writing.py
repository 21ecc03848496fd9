"""Write the report's files: `report.html`, `data.csv`, `codebook.csv`, `figures.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.files import write_atomically
from review.analysis.resampling import SEED
from review.analysis.study import analyse
from review.report.page import render
from review.scores_table import ScoresTable, write_codebook, write_scores


@dataclass(frozen=True)
class Report:
    """What was computed, and where it lies."""

    document: dict[str, Any]
    page: Path
    data: Path
    codebook: Path
    figures: Path


def write_report(table: ScoresTable, out: Path, *, title: str = "Reader study", seed: int = SEED) -> Report:
    """Analyse the scores and write the report to the folder `out`; the same scores give the same bytes."""
    document = analyse(table, seed=seed)
    report = Report(document, out / "report.html", out / "data.csv", out / "codebook.csv", out / "figures.json")
    write_scores(table, report.data)
    write_codebook(table.columns, report.codebook)
    write_atomically(report.figures, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(report.page, render(document, table, title).encode())
    return report

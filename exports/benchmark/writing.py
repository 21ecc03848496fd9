"""Write a comparison's files: `benchmark.html`, `benchmark.md` and `benchmark.json`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.files import write_atomically
from exports.benchmark import wording
from exports.benchmark.answers import per_image
from exports.benchmark.document import USABLE, compare
from exports.benchmark.markdown import as_markdown
from exports.benchmark.page import render
from exports.benchmark.records import Plan
from exports.benchmark.runs import Run
from exports.benchmark.scoring import Scene


@dataclass(frozen=True)
class Report:
    """What was found, and where it lies."""

    document: dict[str, Any]
    page: Path
    markdown: Path
    figures: Path

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        files = {"page": str(self.page), "markdown": str(self.markdown), "figures": str(self.figures)}
        return {"files": files, **self.document}


def write_report(folder: Path, plan: Plan, runs: Sequence[Run], scenes: Sequence[Scene], *, title: str) -> Report:
    """Compare the runs and write the report; scenes without a picture are in the figures only."""
    document = compare(plan, runs, scenes, title=title)
    shown = [scene for scene in scenes if scene.picture]
    images = per_image(plan, runs, shown)
    report = Report(document, folder / "benchmark.html", folder / "benchmark.md", folder / "benchmark.json")
    write_atomically(report.figures, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(report.markdown, as_markdown(document, images).encode("utf-8", "replace"))
    write_atomically(report.page, render(document, images).encode("utf-8", "replace"))
    return report


def in_words(report: Report) -> str:
    """The alarms, one line a run, and where the report is."""
    document = report.document
    lines = [f"{alarm['run'] or 'all'}: {alarm['text']}" for alarm in document["alarms"]]
    for run in document["runs"]:
        usable = run["figures"].get(USABLE)
        seconds = wording.seconds(run["seconds_per_image"]["value"])
        counts = f"{run['answers']:,} of {run['expected']:,} answers, {run['failed']:,} failed"
        share, peak = wording.with_interval(usable), wording.memory(run["peak_memory_mib"])
        lines.append(f"{run['key']}: {counts}, usable {share}, {seconds} an image, peak {peak}")
    return "\n".join([*lines, f"report in {report.page}"])

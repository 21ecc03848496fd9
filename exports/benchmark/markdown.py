"""The comparison in Markdown: summary first, then figures, answers, times, errors."""

from collections.abc import Iterable, Sequence
from typing import Any

from exports.benchmark import wording
from exports.benchmark.document import USABLE

Document = dict[str, Any]
_ESCAPED = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "`": "'", "*": r"\*", "_": r"\_", "\n": " "})


def as_markdown(document: Document, images: Sequence[Document]) -> str:
    """Return the whole comparison; what models say is escaped."""
    lines = [f"# {_plain(document['title'])}", "", _about(document), ""]
    lines += ["## What must be known first", "", *_alarms(document), ""]
    lines += ["## Summary", "", *_summary(document), ""]
    lines += ["## Figures", "", "Value (95% interval, resampled by subject), number of answers.", ""]
    lines += [*_metrics(document), ""]
    for heading, entries in (("Differences", "differences"), ("Modality named in the prompt", "wordings")):
        for one in document[entries]:
            lines += [f"## {heading}: {_plain(one['key'])}", "", *_difference(one), ""]
    lines += ["## Answers", "", *_questions(document), ""]
    for image in images:
        lines += [*_image(image), ""]
    lines += ["## Times", "", *_times(document), "", "## Errors", "", *_errors(document), ""]
    lines += ["## Models", "", *_models(document), "", "Research software, not for clinical use."]
    return "\n".join(lines) + "\n"


def _about(document: Document) -> str:
    simulated = " All frames are simulated." if document["simulated"] == document["frames"] else ""
    return (
        f"{document['made']}. {wording.counted(len(document['runs']), 'run')} on "
        f"{wording.counted(document['frames'], 'frame')} of {wording.counted(document['units'], 'subject')}, "
        f"{document['with_reference']} with a reference.{simulated}"
    )


def _alarms(document: Document) -> list[str]:
    said = [f"- **{_plain(one['run'] or 'all')}**: {_plain(one['text'])}" for one in document["alarms"]]
    return said or ["Nothing: no run was stopped, none collapsed, no answer failed."]


def _summary(document: Document) -> list[str]:
    heads = ["Model", "Answers", "Failed", "Usable", "Seconds an image", "Opened in", "Peak memory", "State"]
    rows = [
        [
            f"**{_plain(run['key'])}**",
            f"{run['answers']:,} of {run['expected']:,}",
            f"{run['failed']:,}",
            wording.with_interval(run["figures"].get(USABLE), 2),
            wording.seconds(run["seconds_per_image"]["value"]),
            wording.seconds(run["load_seconds"]),
            wording.memory(run["peak_accelerator_mib"] or run["peak_memory_mib"]),
            _plain(run["stopped"]["failure"]) if run["stopped"] else "done",
        ]
        for run in document["runs"]
    ]
    return _table(heads, rows)


def _metrics(document: Document) -> list[str]:
    heads = ["Metric", *(_plain(run["key"]) for run in document["runs"])]
    rows = [
        [_plain(one["name"]), *(wording.with_interval(cell) for cell in one["cells"])]
        for one in document["metrics"]
    ]
    return _table(heads, rows)


def _difference(one: Document) -> list[str]:
    heads = ["Metric", "Difference", "95% interval", "pairs", "p"]
    rows = [
        [
            _plain(name),
            wording.number(figure["value"]),
            wording.interval(figure),
            str(figure.get("n", "")),
            wording.p_value(figure),
        ]
        for name, figure in one["figures"].items()
    ]
    return _table(heads, rows)


def _questions(document: Document) -> list[str]:
    return [f"- {_plain(one['name'])}: {_plain(one['prompt'])}" for one in document["questions"]]


def _image(image: Document) -> list[str]:
    lines = [f"### Image {image['number']}: {_plain(image['name'])}", "", _plain(", ".join(image["facts"]))]
    for name, text in image["reference"].items():
        lines.append(f"- reference, {_plain(name.replace('_', ' '))}: {_plain(text)}")
    for question in image["questions"]:
        lines += ["", f"**{_plain(question['name'])}**", ""]
        lines += [line for cell in question["cells"] for line in _cell(cell)]
    return lines


def _cell(cell: Document) -> Iterable[str]:
    about = f"- **{_plain(cell['run'])}**"
    if cell["state"] in ("not asked", "cannot"):
        yield f"{about}: {'not asked' if cell['state'] == 'not asked' else 'takes no such question'}"
        return
    failed = f", FAILED: {_plain(cell['failure'])}" if cell["failure"] else ""
    yield f"{about} ({wording.seconds(cell['seconds'])}{failed})"
    if "plane" in cell:
        found = ", ".join(shape["title"] for shape in cell["shapes"]) or "nothing"
        yield f"  - view: {_plain(cell['plane'] or 'none')}; found: {_plain(found)}"
    if cell["fields"]:
        yield from (f"  - {name}: {_plain(text)}" for name, text in cell["fields"] if text)
    elif cell["text"] or cell["reason"]:
        yield f'  - "{_plain(cell["text"])}"' if cell["text"] else f"  - {_plain(cell['reason'])}"


def _times(document: Document) -> list[str]:
    heads = ["Model", "Opened in", "Seconds an image, mean", "median", "Tokens an image", "Tokens a second"]
    rows = [
        [
            _plain(run["key"]),
            wording.seconds(run["load_seconds"]),
            wording.with_interval(run["seconds_per_image"]),
            wording.seconds(run["median_seconds"]),
            wording.number(run["tokens_per_image"]["value"], 0),
            wording.number(run["tokens_per_second"], 1),
        ]
        for run in document["runs"]
    ]
    return _table(heads, rows)


def _errors(document: Document) -> list[str]:
    rows = [
        [_plain(run["key"]), _plain(kind), f"{count:,}", _plain(run["examples"].get(kind, ""))]
        for run in document["runs"]
        for kind, count in run["failures"].items()
    ]
    rows += [
        [_plain(run["key"]), _plain(run["stopped"]["failure"]), "stopped", _plain(run["stopped"]["reason"])]
        for run in document["runs"]
        if run["stopped"]
    ]
    return _table(["Model", "Kind", "Answers", "The first"], rows) if rows else ["None."]


def _models(document: Document) -> list[str]:
    heads = ["Model", "Given as", "Base", "Weights (SHA-256)", "Decoding"]
    rows = [
        [
            _plain(run["key"]),
            _plain(run["spec"]),
            _plain(run["base"] or wording.DASH),
            _plain((run["model_sha256"] or wording.DASH)[:16]),
            _plain(str(run["provenance"].get("decoding") or wording.DASH)),
        ]
        for run in document["runs"]
    ]
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _plain(text: str) -> str:
    return text.translate(_ESCAPED)

"""The project's tracker in Markdown, made from the catalog."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from annotator.commands.catalog_cells import licence, loads_by, memory, phase, score, size, stated, status
from backends.catalog import catalog, needs_of, provider_of
from backends.catalog.records import PRECISIONS, CatalogEntry, Score, Section

Cell = Callable[[CatalogEntry], str]
TITLES: dict[Section, str] = {
    "fetal": "Fetal and ultrasound models",
    "general": "General models, current generation",
    "earlier": "General models, earlier generation, kept for comparison",
    "medical": "Medical models",
    "mobile": "Small models, for phones and probes",
    "hosted": "Hosted models (frames leave the site)",
    "fada": "FADA, its base and its teachers",
    "compared": "Models of the first comparison and of the captioning study",
    "leaderboard": "Only on the leaderboard of U2-BENCH, or dropped",
}
PHASES = {
    1: "Current generation, against reference answers",
    2: "Fetal and medical models",
    3: "Again, on the full test set: the best of the earlier generation",
    4: "Candidates for phones",
}
METHODS = {
    "unsloth": "Unsloth, tried",
    "unsloth_untested": "Unsloth, likely, untried",
    "own_method": "Another method",
    "api_only": "None: hosted only",
}
UNTOUCHED = ("todo", "available")


def tracker(entries: Sequence[CatalogEntry]) -> str:
    """Return the tracker of these entries, whose counts are counted; sections without an entry are left out."""
    parts = ["# Models", _legend(entries)]
    for section, title in TITLES.items():
        rows = [entry for entry in entries if entry.section == section]
        parts += [f"## {title}", _table(rows, COLUMNS[section])] if rows else []
    parts += [
        part for make in (_plan, _leaderboard, _fine_tuning, _counts, _dropped, _doubts) for part in make(entries)
    ]
    return "\n\n".join([*parts, "## What the scores are", _metrics(entries)]) + "\n"


def _legend(entries: Sequence[CatalogEntry]) -> str:
    tracked = sum(entry.is_tracked for entry in entries)
    return (
        f"{len(entries)} models, {tracked} of them on the tracker, the others named beside it. "
        "Made by `annotator models list --markdown` from the catalog; change the catalog, not this text.\n\n"
        "Memory is that of the weights in GiB at bf16 / fp16 / int8 / int4, with a star where it was computed from "
        "the number of parameters; stated is what a source says without a precision. A question mark: noted from "
        "memory, not read up. Scores against reference answers and proxy scores stand in columns of their own, "
        "since they cannot be compared."
    )


def _scores(scores: Iterable[Score]) -> str:
    return "; ".join(f"{catalog().metrics[one.metric].title} {score(one)}" for one in scores)


def _memories(entry: CatalogEntry) -> str:
    return " / ".join(memory(entry, precision) for precision in PRECISIONS) if entry.memory("bf16") else ""


def _loads(entry: CatalogEntry) -> str:
    needs = needs_of(entry)
    return loads_by(entry) + (f", needs {', '.join(needs)}" if needs else "")


def _provider(entry: CatalogEntry, part: str) -> str:
    return str(getattr(provider_of(entry), part, None) or "unknown")


CELLS: dict[str, Cell] = {
    "Model": lambda entry: f"**{entry.name}**" if entry.phase else entry.name,
    "Family": lambda entry: entry.family,
    "From": lambda entry: entry.origin or "",
    "Size": lambda entry: size(entry) or entry.size_note or "",
    "Memory": _memories,
    "Stated": stated,
    "Availability": lambda entry: entry.availability.replace("_", " "),
    "Loads by": _loads,
    "Hub": lambda entry: entry.hub_id or "unknown",
    "Licence": licence,
    "Status": status,
    "Phase": phase,
    "Speed": lambda entry: entry.speed or "",
    "On a phone": lambda entry: ", ".join(entry.phone_formats),
    "Provider": lambda entry: _provider(entry, "title"),
    "Served as": lambda entry: entry.served_as or "unknown",
    "Key": lambda entry: _provider(entry, "key_variable"),
    "Address": lambda entry: _provider(entry, "base_url"),
    "Against reference answers": lambda entry: _scores(entry.ground_truth),
    "Proxy": lambda entry: _scores(entry.proxy),
    "Elsewhere": lambda entry: _scores(entry.other_scores),
    "Notes": lambda entry: entry.notes or "",
}
_LOADING = ("Loads by", "Hub", "Licence", "Status", "Phase")
_KNOWN = ("Against reference answers", "Proxy", "Elsewhere", "Notes")
COLUMNS: dict[Section, tuple[str, ...]] = {
    "fetal": ("Model", "From", "Size", "Memory", "Availability", *_LOADING, *_KNOWN),
    "general": ("Model", "Family", "Size", "Memory", "Stated", *_LOADING, "Against reference answers", "Notes"),
    "earlier": ("Model", "Family", "Size", "Memory", *_LOADING, *_KNOWN),
    "medical": ("Model", "From", "Size", "Memory", "Availability", *_LOADING, *_KNOWN),
    "mobile": ("Model", "Size", "Memory", "Stated", "Speed", "On a phone", *_LOADING, *_KNOWN),
    "hosted": ("Model", "Provider", "Served as", "Address", "Key", "Status", "Phase", "Notes"),
    "fada": ("Model", "From", "Size", "Memory", *_LOADING, "Elsewhere", "Notes"),
    "compared": ("Model", "Family", "Size", "Memory", *_LOADING, *_KNOWN),
    "leaderboard": ("Model", "Family", "Size", "Loads by", "Licence", "Notes"),
}


def _table(entries: Iterable[CatalogEntry], columns: Sequence[str]) -> str:
    return _grid(columns, ([CELLS[column](entry) for column in columns] for entry in entries))


def _grid(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plan(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    planned = sorted((entry for entry in entries if entry.phase), key=lambda entry: entry.step or 0)
    if planned:
        yield "## Plan"
    for number, title in PHASES.items():
        lines = [f"{entry.step}. {entry.name} ({status(entry)})" for entry in planned if entry.phase == number]
        if lines:
            yield f"### Phase {number}: {title}"
            yield "\n".join(lines)


def _leaderboard(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    listed = [entry for entry in entries if entry.u2_bench]
    if listed:
        yield "## U2-BENCH's leaderboard"
        tracked = sum(entry.is_tracked for entry in listed)
        successors = sum(not entry.is_tracked and entry.superseded_by is not None for entry in listed)
        yield (
            f"{len(listed)} of its models are known here: {tracked} are on the tracker themselves, for "
            f"{successors} only a successor is, which says nothing about the one listed."
        )
        yield _grid(
            ("On the leaderboard", "Here", "On the tracker"),
            ((entry.u2_bench, entry.name, _coverage(entry)) for entry in listed),
        )


def _coverage(entry: CatalogEntry) -> str:
    if entry.is_tracked:
        return "yes"
    return f"only its successor {entry.superseded_by}" if entry.superseded_by else "no"


def _fine_tuning(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    rows = [
        (title, len(names), ", ".join(names))
        for method, title in METHODS.items()
        if (names := [entry.name for entry in entries if entry.fine_tuning == method])
    ]
    if rows:
        yield "## Fine-tuning"
        yield _grid(("Method", "Models", "Which"), rows)


def _counts(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    rows = []
    for section, title in TITLES.items():
        found = [entry for entry in entries if entry.section == section]
        untouched = sum(entry.status in UNTOUCHED for entry in found)
        against = sum(bool(entry.ground_truth) for entry in found)
        rows += [(title, len(found), untouched, against, sum(bool(one.proxy) for one in found))] if found else []
    total = [sum(int(row[column]) for row in rows) for column in range(1, 5)]
    yield "## Counts"
    heads = ("Section", "Models", "To do", "Scored against reference answers", "Scored by proxy")
    yield _grid(heads, [*rows, ("**Total**", *total)])


def _dropped(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    rows = [
        (entry.name, entry.superseded_by or "", entry.notes or "")
        for entry in entries
        if entry.status == "dropped" or entry.superseded_by
    ]
    if rows:
        yield "## Superseded or dropped"
        yield _grid(("Model", "Successor", "Notes"), rows)


def _doubts(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    rows = [
        (entry.name, f"{one.gb:g} GB", one.precision or "not said", catalog().sources[one.source], one.doubt)
        for entry in entries
        for one in entry.stated_memory
        if one.doubt
    ]
    if rows:
        yield "## Memory that is stated and not used"
        yield _grid(("Model", "Stated", "Precision", "By", "Why not"), rows)


def _metrics(entries: Sequence[CatalogEntry]) -> str:
    used = {one.metric for entry in entries for one in (*entry.ground_truth, *entry.proxy, *entry.other_scores)}
    kinds = {"ground_truth": "reference answers", "proxy": "PROXY", "other": "elsewhere"}
    metrics = [one for name, one in catalog().metrics.items() if name in used]
    return _grid(("Score", "Kind", "What it is"), ((one.title, kinds[one.kind], one.what) for one in metrics))

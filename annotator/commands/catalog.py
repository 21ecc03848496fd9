"""`models list` and `models show`: what is known of every model, as a table, as JSON, as the project's tracker."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from annotator.cli import Result
from annotator.commands.catalog_cells import licence, loads_by, memory, phase, score, size, status
from annotator.commands.catalog_tracker import tracker
from annotator.errors import BackendError, InputError
from backends.catalog import Filter, Sort, catalog, choice_of, known, needs_of, ordered, provider_of, select
from backends.catalog.records import PRECISIONS, CatalogEntry, Precision, Score, StatedMemory

COLUMNS = ("model", "family", "size", "loads by", "licence", "status", "phase")


def list_models(
    workspace: Path,
    *,
    sort: Sort | None = None,
    metric: str = "eight_fields",
    precision: Precision = "bf16",
    markdown: bool = False,
    **filters: Any,
) -> Result:
    """List the models that pass the filters, those of `backends.catalog.Filter`; `markdown` writes the tracker."""
    found = catalog()
    if metric not in found.metrics:
        raise InputError(f"no metric {metric!r}; there is: {', '.join(found.metrics)}")
    entries = select(found.models, _filter(precision, filters))
    if sort is not None:
        entries = ordered(entries, sort, metric=metric, precision=precision)
    document = {
        "count": len(entries),
        "sort": sort,
        "metric": metric,
        "precision": precision,
        "models": [_as_document(entry) for entry in entries],
        **found.model_dump(mode="json", include={"sources", "metrics", "model_types", "providers"}),
    }
    text = tracker(entries) if markdown else _as_table(entries, metric, precision)
    return Result({**document, "markdown": text} if markdown else document, text)


def show_model(workspace: Path, name: str) -> Result:
    """Tell all that is known of one model, and how to ask it; InputError for one that is not in the catalog."""
    entry = known(name)
    document = _as_document(entry)
    lines = [f"{entry.name}  ({entry.family}{f', {entry.origin}' if entry.origin else ''})"]
    facts = {
        "also called": ", ".join(entry.aliases),
        "size": size(entry) + (f" ({entry.size_note})" if entry.size_note else ""),
        "memory": ", ".join(f"{one} {memory(entry, one)}" for one in PRECISIONS) + " GiB"
        if entry.parameters_b
        else "",
        "loads by": loads_by(entry),
        "needs": ", ".join(needs_of(entry)),
        "server": entry.server or "",
        "hub": ", ".join(filter(None, (entry.hub_id, *entry.other_hub_ids))) or "unknown",
        "availability": entry.availability,
        "licence": licence(entry),
        "status": status(entry) + (f", phase {entry.phase}, step {entry.step}" if entry.phase else ""),
        "speed": entry.speed or "",
        "notes": entry.notes or "",
        "from memory": ", ".join(entry.from_memory),
        "named in": "; ".join(catalog().sources[source] for source in entry.sources),
        "to ask it": document["how_to_ask"],
    }
    lines += [f"  {key:12} {value}" for key, value in facts.items() if value]
    lines += [_as_stated(stated) for stated in entry.stated_memory]
    lines += [_as_score("ground truth", one) for one in entry.ground_truth]
    lines += [_as_score("PROXY", one) for one in entry.proxy]
    lines += [_as_score("elsewhere", one) for one in entry.other_scores]
    return Result(document, "\n".join(lines))


def _filter(precision: Precision, filters: dict[str, Any]) -> Filter:
    try:
        return Filter(precision=precision, **filters)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _as_document(entry: CatalogEntry) -> dict[str, Any]:
    provider = provider_of(entry)
    return {
        **entry.model_dump(mode="json"),
        "needs": needs_of(entry),
        "builds": catalog().model_types[str(entry.model_type)].builds if entry.loader == "transformers" else None,
        "memory": {one: found.model_dump() if (found := entry.memory(one)) else None for one in PRECISIONS},
        "is_public": entry.is_public,
        "hosted_by": provider.model_dump() if provider else None,
        "how_to_ask": _how_to_ask(entry),
    }


def _how_to_ask(entry: CatalogEntry) -> str:
    """The command that asks the model, or why there is none."""
    try:
        choice = choice_of(entry)
    except BackendError as error:
        return str(error)
    provider = provider_of(entry)
    command = f"annotator models check '{entry.name}'" + (" --allow-upload" if provider else "")
    if provider:
        return f"{command}, with the key in {provider.key_variable}; frames go to {choice['url']}"
    missing = needs_of(entry)
    return command + (f", once {' and '.join(missing)} can be imported" if missing else "")


def _as_stated(stated: StatedMemory) -> str:
    figure = f"{'at most ' if stated.at_most else ''}{stated.gb:g} GB, precision {stated.precision or 'not said'}"
    doubt = f"; not used: {stated.doubt}" if stated.doubt else ""
    return f"  {'stated':12} {figure} ({catalog().sources[stated.source]}){doubt}"


def _as_score(kind: str, one: Score) -> str:
    how = catalog().metrics[one.metric]
    return f"  {kind:12} {score(one)}  {how.title}: {how.what} ({catalog().sources[one.source]})"


def _as_table(entries: list[CatalogEntry], metric: str, precision: Precision) -> str:
    how = catalog().metrics[metric]
    heads = [*COLUMNS[:3], f"{precision} GiB", *COLUMNS[3:], f"{how.title}{' (PROXY)' * (how.kind == 'proxy')}"]
    rows = [
        [
            *(entry.name, entry.family, size(entry), memory(entry, precision)),
            *(loads_by(entry), licence(entry), status(entry), phase(entry)),
            score(found) if (found := entry.score(metric)) else "",
        ]
        for entry in entries
    ]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]
    ]
    legend = [
        f"{len(entries)} models. Memory: weights only; * computed from the parameters. ? from memory, not read up.",
        f"{how.title}: {how.what}.",
    ]
    return "\n".join(line.rstrip() for line in [*lines, "", *legend])

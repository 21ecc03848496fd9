"""Reading a catalog file, and what makes one unusable."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from annotator.errors import InputError
from annotator.schema import Record
from backends.catalog.records import CatalogEntry, Metric, ModelType, Provider, Score


class Catalog(Record):
    """All entries in the file's order, and the sources, metrics, model types and providers that they name."""

    sources: dict[str, str]
    metrics: dict[str, Metric]
    model_types: dict[str, ModelType]
    providers: dict[str, Provider]
    models: Annotated[tuple[CatalogEntry, ...], Field(alias="model", min_length=1)]


def read_catalog(path: Path) -> Catalog:
    """Read a catalog; InputError names the file, the entry and the field that cannot be used."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from None
    try:
        found = Catalog(**raw)
    except ValidationError as error:
        raise InputError(f"{path}: {_where(error, raw)}") from None
    for complaint in _complaints(found):
        raise InputError(f"{path}: {complaint}")
    return found


def folded(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_/-]+", "", name.casefold())


def keys_of(entry: CatalogEntry) -> set[str]:
    """Return what a model answers to: its name and aliases, folded, and its hub ids."""
    hub_ids = [hub_id for hub_id in (entry.hub_id, *entry.other_hub_ids) if hub_id]
    return {folded(name) for name in (entry.name, *entry.aliases)} | {hub_id.casefold() for hub_id in hub_ids}


def _where(error: ValidationError, raw: dict[str, Any]) -> str:
    """Name the entry and the field of the first thing that is wrong."""
    first = error.errors()[0]
    where = list(first["loc"])
    if len(where) > 1 and where[0] == "model" and isinstance(where[1], int):
        given = raw["model"][where[1]]
        where[:2] = [f"model {given['name']!r}" if "name" in given else f"model number {where[1] + 1}"]
    return f"{': '.join(str(part) for part in where)}: {first['msg']}"


def _complaints(found: Catalog) -> Iterator[str]:
    """What no single record can see: names used twice, and words that are nowhere explained."""
    names = {entry.name for entry in found.models}
    used = Counter(key for entry in found.models for key in keys_of(entry))
    for entry in found.models:
        if twice := [key for key in sorted(keys_of(entry)) if used[key] > 1]:
            yield f"model {entry.name!r}: the name {twice[0]!r} belongs to another model too"
        for what, value, allowed in _words_of(entry, found, names):
            if value not in allowed:
                yield f"model {entry.name!r}: {what} {value!r} is not among {', '.join(sorted(allowed))}"
        if entry.loader in ("server", "gguf") and not entry.server:
            yield f"model {entry.name!r}: it loads by {entry.loader}, so `server` has to say what can run it"
        if (entry.phase is None) != (entry.step is None):
            yield f"model {entry.name!r}: `phase` and `step` go together"


def _words_of(
    entry: CatalogEntry, found: Catalog, names: set[str]
) -> Iterator[tuple[str, str | None, set[str] | dict[str, Any]]]:
    by_kind: tuple[tuple[str, tuple[Score, ...]], ...] = (
        ("ground_truth", entry.ground_truth),
        ("proxy", entry.proxy),
        ("other", entry.other_scores),
    )
    for kind, scores in by_kind:
        allowed = {name for name, metric in found.metrics.items() if metric.kind == kind}
        for score in scores:
            yield f"{kind} metric", score.metric, allowed
            yield "source", score.source, found.sources
    yield from (("source", name, found.sources) for name in entry.sources)
    yield from (("source", memory.source, found.sources) for memory in entry.stated_memory)
    yield from (("field from memory", name, set(CatalogEntry.model_fields)) for name in entry.from_memory)
    if entry.loader == "transformers":
        yield "model_type", entry.model_type, found.model_types
    if entry.loader == "hosted":
        yield "provider", entry.provider, found.providers
    if entry.superseded_by:
        yield "superseded_by", entry.superseded_by, names

"""Finding entries of the catalog by name or by need, and what each means to the rest of the tool.

The entries are in `catalog.toml`; adding a model is adding one there.
"""

import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from annotator.errors import BackendError, InputError
from annotator.schema import Record
from backends.catalog.reading import Catalog, folded, keys_of, read_catalog
from backends.catalog.records import CatalogEntry, Loader, Precision, Provider, Status

CATALOG_FILE = Path(__file__).parent / "catalog.toml"
Sort = Literal["size", "memory", "name", "score"]
_ONLY = {
    "embedding": "it embeds frames and cannot be asked",
    "teacher": "it is a teacher's encoder and cannot be asked; its features are cached for training",
    "trainable": "there are no weights; train it with `annotator train captioner`, then give its folder",
    "unknown": "nobody says how it loads",
}


class Filter(Record):
    """Which entries are wanted; None asks for nothing. Text is compared without regard to case."""

    family: str | None = None
    loader: Loader | None = None
    status: Status | None = None
    phase: int | None = None
    licence: str | None = Field(default=None, description="a part of its name")
    max_memory_gib: float | None = Field(default=None, ge=0, description="one of unknown size does not pass")
    precision: Precision = "bf16"
    public: bool = False

    def admits(self, entry: CatalogEntry) -> bool:
        """Tell whether an entry is wanted."""
        wanted = {name: getattr(self, name) for name in ("loader", "status", "phase")}
        memory = entry.memory(self.precision)
        return (
            all(value is None or getattr(entry, name) == value for name, value in wanted.items())
            and (self.family is None or entry.family.casefold() == self.family.casefold())
            and (self.licence is None or self.licence.casefold() in entry.licence.casefold())
            and (self.max_memory_gib is None or (memory is not None and memory.gib <= self.max_memory_gib))
            and (entry.is_public or not self.public)
        )


@cache
def catalog() -> Catalog:
    """Return the catalog that comes with the program, read once."""
    return read_catalog(CATALOG_FILE)


def resolve(name: str) -> CatalogEntry | None:
    """Return the model of that name, alias or hub id; None for a folder and for what is not in the catalog.

    Case, spaces, hyphens and underscores do not count. What holds a slash is compared with hub ids only.

    >>> resolve("qwen3 vl 8b instruct").name, resolve("Qwen/Qwen3-VL-8B-Instruct").name, resolve("./Qwen3-VL-8B")
    ('Qwen3-VL-8B', 'Qwen3-VL-8B', None)
    """
    key = name.casefold() if "/" in name or "\\" in name else folded(name)
    return _index().get(key)


def known(name: str) -> CatalogEntry:
    """Return the model of that name; InputError with the nearest names where there is none."""
    entry = resolve(name)
    if entry is None:
        names = {folded(entry.name): entry.name for entry in catalog().models}
        near = [names[key] for key in difflib.get_close_matches(folded(name), names, n=3, cutoff=0.6)]
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `annotator models list` shows all"
        raise InputError(f"no model {name!r} in the catalog{hint}")
    return entry


def choice_of(entry: CatalogEntry, *, url: str | None = None) -> dict[str, Any]:
    """Return the options of a BackendChoice that ask this model; BackendError says why it cannot be asked.

    With `url` a model that anyone can download is asked on that server, under the name that servers give it. A key
    is not among the options: it is in the environment, under `provider_of(entry).key_variable`.

    >>> choice_of(known("Qwen3-VL-2B"))
    {'backend': 'fada', 'model': 'Qwen/Qwen3-VL-2B-Instruct'}
    """
    if entry.loader in ("hosted", "not_public", *_ONLY):
        return _hosted_choice(entry)
    if url:
        return {"backend": "remote", "model": _id_of(entry, entry.served_as or entry.hub_id), "url": url}
    if entry.loader in ("server", "gguf"):
        raise BackendError(
            f"{entry.name} needs a server ({entry.server}); start it and repeat with --url http://127.0.0.1:8000/v1"
        )
    model = _id_of(entry, entry.hub_id)
    if entry.base_hub_id:
        return {"backend": "fada", "model": entry.base_hub_id, "adapter": model}
    return {"backend": "fada", "model": model}


def provider_of(entry: CatalogEntry) -> Provider | None:
    """Return who answers for a hosted model."""
    return catalog().providers[entry.provider] if entry.provider else None


def needs_of(entry: CatalogEntry) -> tuple[str, ...]:
    """Return the libraries that a model's processor needs and this program does not bring."""
    by_type = catalog().model_types.get(entry.model_type or "") if entry.loader == "transformers" else None
    return tuple(dict.fromkeys((*(by_type.needs if by_type else ()), *entry.needs)))


def select(entries: Sequence[CatalogEntry], wanted: Filter) -> list[CatalogEntry]:
    """Return the entries that pass, in their order; InputError for a family that no entry has."""
    families = {entry.family.casefold(): entry.family for entry in entries}
    if wanted.family is not None and wanted.family.casefold() not in families:
        raise InputError(f"no family {wanted.family!r}; there is: {', '.join(sorted(families.values()))}")
    return [entry for entry in entries if wanted.admits(entry)]


def ordered(
    entries: Sequence[CatalogEntry], by: Sort, *, metric: str = "eight_fields", precision: Precision = "bf16"
) -> list[CatalogEntry]:
    """Return entries by name, by size or memory from small to large, or by one metric's score from best to worst.

    A score is compared with scores of the same metric only, so a proxy never stands among others. Entries without a
    figure come last, by name.
    """

    def place(entry: CatalogEntry) -> tuple[bool, float, str]:
        figure = _figure(entry, by, metric, precision)
        return figure is None, figure or 0.0, entry.name.casefold()

    return sorted(entries, key=place)


def _figure(entry: CatalogEntry, by: Sort, metric: str, precision: Precision) -> float | None:
    """What an entry is sorted by, the smallest first."""
    if by == "size":
        return entry.parameters_b
    if by == "memory":
        memory = entry.memory(precision)
        return memory.gib if memory else None
    score = entry.score(metric) if by == "score" else None
    return -score.value if score else (0.0 if by == "name" else None)


def _hosted_choice(entry: CatalogEntry) -> dict[str, Any]:
    """The choice for a model at a provider; BackendError for one that cannot be asked at all."""
    provider = provider_of(entry)
    if entry.loader == "not_public":
        raise BackendError(f"{entry.name} is not public: there are no weights and no address to ask")
    if provider is None:
        raise BackendError(f"{entry.name}: {_ONLY[entry.loader]}")
    if not (provider.openai_compatible and provider.base_url):
        raise BackendError(f"{entry.name}: {provider.title} has no address here; {provider.note}")
    if entry.served_as is None:
        raise BackendError(
            f"{entry.name}: the name that {provider.title} gives it is not known here; "
            f"use --backend remote --url {provider.base_url} --model NAME"
        )
    return {"backend": "remote", "model": entry.served_as, "url": provider.base_url}


def _id_of(entry: CatalogEntry, hub_id: str | None) -> str:
    if hub_id is None:
        raise BackendError(f"{entry.name}: its hub id is not known here; give its folder or hub id instead")
    return hub_id


@cache
def _index() -> dict[str, CatalogEntry]:
    return {key: entry for entry in catalog().models for key in keys_of(entry)}

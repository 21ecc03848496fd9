"""How a model's facts are written into a cell of a table."""

from backends.catalog import provider_of
from backends.catalog.records import CatalogEntry, Precision, Score

LOADERS = {
    "server": "server",
    "gguf": "llama.cpp (GGUF)",
    "hosted": "hosted",
    "embedding": "embedding model",
    "teacher": "teacher encoder",
    "trainable": "trained here",
    "not_public": "not public",
    "unknown": "unknown",
}


def size(entry: CatalogEntry) -> str:
    """Return the parameters, such as `35B, 3B active`; empty where nobody says."""
    if entry.parameters_b is None:
        return ""
    active = entry.active_b if entry.active_b != entry.parameters_b else None
    return billions(entry.parameters_b) + (f", {billions(active)} active" if active else "")


def billions(parameters_b: float) -> str:
    """Return a number of parameters in words.

    >>> billions(0.256), billions(2.2), billions(27.0)
    ('256M', '2.2B', '27B')
    """
    return f"{parameters_b:g}B" if parameters_b >= 1 else f"{parameters_b * 1000:.0f}M"


def memory(entry: CatalogEntry, precision: Precision) -> str:
    """Return GiB for the weights, with a star where they are computed; empty where nobody knows."""
    found = entry.memory(precision)
    return f"{found.gib:.1f}{'*' if found.computed else ''}" if found else ""


def stated(entry: CatalogEntry) -> str:
    """Return the memory that sources state without saying for which precision, GB."""
    return ", ".join(f"{'<' * one.at_most}{one.gb:g} GB" for one in entry.stated_memory if one.precision is None)


def loads_by(entry: CatalogEntry) -> str:
    """Return how a model is reached from here."""
    if entry.loader == "transformers":
        return f"transformers: {entry.model_type}"
    provider = provider_of(entry)
    return f"hosted: {provider.title}" if provider else LOADERS[entry.loader]


def licence(entry: CatalogEntry) -> str:
    """Return the licence, with a question mark where no page was read for it."""
    return entry.licence + (" ?" if "licence" in entry.from_memory else "")


def status(entry: CatalogEntry) -> str:
    """Return how far the project is with a model."""
    return entry.status.replace("_", " ")


def phase(entry: CatalogEntry) -> str:
    """Return the phase of the plan, empty for none."""
    return str(entry.phase or "")


def score(one: Score) -> str:
    """Return a score with what qualifies it, such as `0.811, n = 600 (fine-tuned)`."""
    digits = 3 if round(one.value, 3) == one.value else 4
    figure = f"{'~' if one.approximate else ''}{one.value:.{digits}f}"
    samples = f", n {'≈' if one.approximate_samples else '='} {one.samples}" if one.samples else ""
    return figure + samples + (f" ({one.note})" if one.note else "")

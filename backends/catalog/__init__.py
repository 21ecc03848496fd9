"""Every model that the project tracks: what it needs, how it loads here, what was measured, and by what."""

from backends.catalog.lookup import (
    CATALOG_FILE,
    Filter,
    Sort,
    catalog,
    choice_of,
    known,
    needs_of,
    ordered,
    provider_of,
    resolve,
    select,
)

__all__ = [
    "CATALOG_FILE",
    "Filter",
    "Sort",
    "catalog",
    "choice_of",
    "known",
    "needs_of",
    "ordered",
    "provider_of",
    "resolve",
    "select",
]

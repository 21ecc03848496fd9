"""Which model versions have spoken, which served, and whose predictions nobody is to be shown."""

from sqlalchemy import func, select

from annotator.learning import Decision
from annotator.schema import GUIDED
from annotator.store.learning import promotions
from annotator.store.store import Store
from annotator.store.tables import PREDICTIONS


def predicting_versions(store: Store) -> list[str]:
    """Return the names of all versions that pre-annotated a frame, in the order in which they began."""
    version = PREDICTIONS.c.model_version
    query = select(version).where(~version.endswith(GUIDED)).group_by(version).order_by(func.min(PREDICTIONS.c.seq))
    with store.reading() as connection:
        return list(connection.execute(query).scalars())


def served_versions(store: Store, backend: str) -> list[str | None]:
    """Return what serves and what served before it, the last first; it ends in None, the release's own.

    What was gone back from is not among them.
    """
    served: list[str | None] = [None]
    for one in promotions(store, backend):
        if one.decision is Decision.PROMOTED:
            served.append(one.serving)
        elif one.decision is Decision.ROLLED_BACK:
            while served[-1] not in (one.serving, None):
                served.pop()
    return served[::-1]


def unpromoted_versions(store: Store) -> frozenset[str]:
    """Return the versions that were trained here and are out of service: refused, gone back from, not yet judged.

    Their predictions are kept, but are no pre-annotation to be corrected.
    """
    trained = [model for model in store.model_versions() if model.dataset is not None]
    served = {name for backend in {model.backend for model in trained} for name in served_versions(store, backend)}
    return frozenset(model.name for model in trained) - served

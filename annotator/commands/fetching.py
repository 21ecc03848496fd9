"""To and from Label Studio as a step of something larger: where it is not there, that is no failure."""

from collections.abc import Callable

from annotator.errors import LabelStudioError
from annotator.labelstudio import process
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import open_client
from annotator.labelstudio.pull import pull
from annotator.labelstudio.push import push
from annotator.store import Store


def fetch_corrections(store: Store) -> str:
    """Pull what readers submitted; return why that could not be done, or nothing."""
    return _if_it_runs(store, pull, "corrections", "fetched")


def push_predictions(store: Store) -> str:
    """Push frames and their newest predictions; return why that could not be done, or nothing."""
    return _if_it_runs(store, push, "predictions", "pushed")


def _if_it_runs(store: Store, work: Callable[[Store, Client], object], what: str, done: str) -> str:
    try:
        if not process.status(store.workspace, ask=False).running:
            return f"Label Studio is not running, so that {what} are not {done}"
        with open_client(store.workspace) as client:
            work(store, client)
    except LabelStudioError as error:
        return f"{what} were not {done}: {error}"
    return ""

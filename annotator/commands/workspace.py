"""What every command starts from: an opened store, settings, a progress bar."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from annotator.settings import Settings, read_settings
from annotator.store import Store


@contextmanager
def opened(workspace: Path, settings: Settings | None = None) -> Iterator[Store]:
    """Open a workspace's store, and close it in the end."""
    store = Store(workspace, (settings or read_settings()).database_url)
    try:
        yield store
    finally:
        store.close()


def progress(total: int, what: str, unit: str = "frame") -> Any:
    """Return a progress bar on stderr."""
    return tqdm(total=total, desc=what, unit=f" {unit}s", file=sys.stderr, dynamic_ncols=True, mininterval=0.5)


def say(line: str) -> None:
    """Tell the user what is being done, on stderr."""
    tqdm.write(line, file=sys.stderr)

"""Workspaces for the review panel. Migrating a database takes longer than most of these tests: it is done once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without rows."""
    workspace = tmp_path_factory.mktemp("empty") / "workspace"
    Store(workspace).close()
    return workspace / "annotator.db"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    shutil.copy(empty_database, workspace)
    opened = Store(workspace)
    yield opened
    opened.close()

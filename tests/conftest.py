"""Workspaces for tests: SQLite always, and PostgreSQL too where ANNOTATOR_TEST_POSTGRESQL_URL names a server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from annotator.store import Store

POSTGRESQL_URL = os.environ.get("ANNOTATOR_TEST_POSTGRESQL_URL")


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL_URL else [])])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """An empty database: None for the workspace's own SQLite file, or the address of an emptied PostgreSQL."""
    if request.param == "sqlite":
        return None
    assert POSTGRESQL_URL is not None
    engine = create_engine(POSTGRESQL_URL)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRESQL_URL


@pytest.fixture
def store(tmp_path: Path, database_url: str | None) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace", database_url)
    yield opened
    opened.close()

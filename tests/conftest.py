"""Workspaces for tests: SQLite always, and PostgreSQL too where ANNOTATOR_TEST_POSTGRESQL_URL names a server."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, make_url, text

from annotator.labelstudio import environment, process
from annotator.settings import read_settings
from annotator.store import Store
from tests.builders import a_free_port, require

# The same examples on every run: a test that passed here passes elsewhere. To look for new ones:
# HYPOTHESIS_PROFILE=default
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

POSTGRESQL_URL = os.environ.get("ANNOTATOR_TEST_POSTGRESQL_URL")


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL_URL else [])])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """An empty database: None for the workspace's own SQLite file, or the address of a fresh PostgreSQL one."""
    if request.param == "sqlite":
        return None
    assert POSTGRESQL_URL is not None
    url = make_url(POSTGRESQL_URL).set(database=f"tests_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")
    server = create_engine(POSTGRESQL_URL, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {url.database}"))
    server.dispose()
    return url.render_as_string(hide_password=False)


@pytest.fixture
def store(tmp_path: Path, database_url: str | None) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace", database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def labelstudio_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose Label Studio really runs, on a port of its own, for as long as the tests do."""
    env_dir = read_settings().labelstudio_env
    require(
        environment.is_installed(env_dir),
        f"Label Studio in {env_dir}: `annotator labelstudio install`, or set ANNOTATOR_LABELSTUDIO_ENV",
    )
    workspace = tmp_path_factory.mktemp("labelstudio")
    process.start(workspace, env_dir, a_free_port(), lambda line: None)
    yield workspace
    process.stop(workspace)

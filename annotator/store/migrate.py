"""Schema migrations with alembic; the common case, a database already at the newest revision, costs one query."""

from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from annotator.errors import StoreError
from annotator.store.engine import make_engine, reason_of

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
HEAD = "0003"


def upgrade_to_head(url: str) -> None:
    """Create or migrate the schema; StoreError where the database is newer than this program or is no database."""
    engine = make_engine(url, writes=True)
    try:
        with engine.connect() as connection:
            found = None
            if inspect(connection).has_table("alembic_version"):
                found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise StoreError(
                f"the workspace database is at revision {found}, newer than {HEAD}: update this program"
            )
        _run_alembic(url)
    except DBAPIError as error:
        raise StoreError(f"cannot open the workspace database: {reason_of(error)}") from error
    finally:
        engine.dispose()


def _run_alembic(url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"cannot migrate the workspace database: {error}") from error

"""Database engines that keep their promises under many writers and under kill -9.

SQLite's default deferred BEGIN lets a read-then-write transaction fail or lose an update when another writer comes
between; every writing transaction here begins with BEGIN IMMEDIATE and waits for its turn instead. PostgreSQL's
writers take turns by an advisory lock: the chain of hashes and the row numbers then grow in one and the same order.
"""

from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError

from annotator.errors import StoreError

BUSY_TIMEOUT_MS = 30_000
_POSTGRESQL_LOCK = 7_221_845


def make_engine(url: str, *, writes: bool) -> Engine:
    """Return an engine for `url`: writers wait for each other, readers see one state of the whole database."""
    try:
        engine = create_engine(url)
    except (ArgumentError, ImportError, ValueError) as error:
        raise StoreError(f"cannot use the database {_without_password(url)}: {error}") from error
    if engine.dialect.name == "sqlite":
        _make_sqlite_strict(engine, "BEGIN IMMEDIATE" if writes else "BEGIN")
    elif engine.dialect.name == "postgresql" and writes:
        _make_postgresql_take_turns(engine)
    elif engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def reason_of(error: DBAPIError) -> str:
    """Return what the database said, on one line (PostgreSQL's words come on several)."""
    return " ".join(str(error.orig).split())


def _make_sqlite_strict(engine: Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3 must not begin by itself
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _make_postgresql_take_turns(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def wait_for_turn(connection: Connection) -> None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})"))


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"

"""Who is logged in and how often passwords were wrong. Times are seconds since 1970, UTC."""

from sqlalchemy import delete, insert, select

from annotator.store.store import Store
from annotator.store.study_tables import LOGIN_FAILURES, LOGIN_SESSIONS


class Logins:
    """Login sessions and failed attempts of one workspace; they survive a restart of the server."""

    def __init__(self, store: Store) -> None:
        """Use the database of `store`."""
        self._store = store

    def open_session(self, token_hash: str, login: str, *, now: float, expires_at: float) -> None:
        """Note a session, and forget those that have expired."""
        with self._store.writing() as connection:
            connection.execute(delete(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.expires_at < now))
            row = {"token_hash": token_hash, "login": login, "expires_at": expires_at}
            connection.execute(insert(LOGIN_SESSIONS), row)

    def session(self, token_hash: str) -> tuple[str, float] | None:
        """Return the login of a session and when it expires, or None."""
        query = select(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.token_hash == token_hash)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return (row.login, row.expires_at) if row else None

    def close_session(self, token_hash: str) -> None:
        """End one session."""
        with self._store.writing() as connection:
            connection.execute(delete(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.token_hash == token_hash))

    def close_sessions_of(self, login: str) -> None:
        """End all sessions of an account: its password or role has changed."""
        with self._store.writing() as connection:
            connection.execute(delete(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.login == login))

    def failures(self, key: str) -> tuple[int, float]:
        """Return how often a key failed in a row, and when last."""
        query = select(LOGIN_FAILURES).where(LOGIN_FAILURES.c.key == key)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return (row.failures, row.last_at) if row else (0, 0.0)

    def note_failure(self, key: str, *, now: float, forget_after_s: float) -> None:
        """Count one more failure; those before a long quiet time are forgotten."""
        with self._store.writing() as connection:
            row = connection.execute(select(LOGIN_FAILURES).where(LOGIN_FAILURES.c.key == key)).first()
            recent = row is not None and abs(now - row.last_at) < forget_after_s
            count = row.failures + 1 if row is not None and recent else 1
            connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.key == key))
            connection.execute(insert(LOGIN_FAILURES), {"key": key, "failures": count, "last_at": now})

    def forget_failures(self, key: str) -> None:
        """A right password clears the count of its account."""
        with self._store.writing() as connection:
            connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.key == key))

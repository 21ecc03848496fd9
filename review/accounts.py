"""Accounts and log-ins: scrypt hashes with a salt each, throttled attempts, sessions that expire.

An account may be logged in more than once, so that a reader can go on at another computer without logging out; what
arrives out of turn from a second window is refused by the session logic, not by the login.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from annotator.errors import InputError
from annotator.schema import utc_now
from annotator.store import Store
from annotator.store.logins import Logins
from annotator.store.studies import Studies
from annotator.studies import Account, Role

SESSION_HOURS = 12
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
FREE_FAILURES = {"account": 5, "address": 20}
LONGEST_WAIT_S = 15 * 60.0
FORGET_AFTER_S = 24 * 3600.0

_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_HASHES_AT_ONCE = threading.Semaphore(2)  # each takes 32 MB: a flood of log-ins must not take the machine's memory

Clock = Callable[[], datetime]


class ThrottledError(InputError):
    """Too many wrong passwords; `until` says when the next attempt is heard."""

    def __init__(self, until: datetime) -> None:
        super().__init__("too many wrong passwords; wait before you try again")
        self.until = until


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in."""

    login: str
    role: Role


def hash_password(password: str) -> str:
    """Return `scrypt$cost$block$parallel$salt$digest`; InputError for a password too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InputError(f"a password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${digest.hex()}"


def is_password(password: str, stored: str) -> bool:
    """Tell whether a password is the one that was hashed, in constant time."""
    _, cost, block, parallel, salt, digest = stored.split("$")
    given = _scrypt(password[: LONGEST_PASSWORD + 1], bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(given, bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with _HASHES_AT_ONCE:
        memory = 256 * cost * block
        return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=32)


def generated_password() -> str:
    """Return a random password of 120 bits."""
    return secrets.token_urlsafe(15)


class Accounts:
    """The accounts of one workspace, and who is logged in."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        """Use the database of `store`; `clock` tells the time, UTC."""
        self._studies = Studies(store)
        self._logins = Logins(store)
        self._clock = clock

    def put(self, login: str, role: Role, password: str, *, active: bool = True) -> Account:
        """Make an account, or give one a new role and password; its open sessions end."""
        if not is_login(login):
            raise InputError(f"login {login!r}: use 1 to 64 of a-z, 0-9 and . _ @ -, first a letter or digit")
        account = Account(login=login, role=role, password_hash=hash_password(password), active=active)
        with self._studies.writing() as rows:
            rows.add_account(account)
        self._logins.close_sessions_of(login)
        return account

    def log_in(self, login: str, password: str, address: str) -> str | None:
        """Return the secret of a new session, None for a wrong login or password; ThrottledError after many."""
        now = self._now()
        keys = {"account": f"account:{login[:100]}", "address": f"address:{address[:100]}"}
        self._check_throttle(keys, now)
        account = self._account(login)
        # An unknown login takes as long as a wrong password: the time must not tell which accounts exist.
        right = is_password(password, account.password_hash if account else _nobodys_hash())
        if account is None or not right:
            for key in keys.values():
                self._logins.note_failure(key, now=now, forget_after_s=FORGET_AFTER_S)
            return None
        self._logins.forget_failures(keys["account"])
        secret = secrets.token_urlsafe(32)
        expires_at = now + SESSION_HOURS * 3600
        self._logins.open_session(_digest(secret), account.login, now=now, expires_at=expires_at)
        return secret

    def who(self, secret: str | None) -> Person | None:
        """Return whose session a browser's secret is, or None for a forged, expired or ended one."""
        if not secret or len(secret) > 200:
            return None
        found = self._logins.session(_digest(secret))
        if found is None:
            return None
        # A clock that jumped back must not make a session last longer than it ever may.
        if not 0 < found[1] - self._now() <= SESSION_HOURS * 3600:
            return None
        account = self._account(found[0])
        return Person(account.login, account.role) if account else None

    def log_out(self, secret: str | None) -> None:
        """End a session."""
        if secret:
            self._logins.close_session(_digest(secret[:200]))

    def _account(self, login: str) -> Account | None:
        if not is_login(login):
            return None
        with self._studies.reading() as rows:
            account = rows.account(login)
        return account if account is not None and account.active else None

    def _check_throttle(self, keys: dict[str, str], now: float) -> None:
        for kind, key in keys.items():
            count, last_at = self._logins.failures(key)
            over = count - FREE_FAILURES[kind]
            # A clock that jumped back would make `last_at` lie ahead: no wait is ever longer than the longest.
            wait = min(2.0 ** min(over, 20), LONGEST_WAIT_S) - max(0.0, now - last_at) if over >= 0 else 0.0
            if wait > 0:
                raise ThrottledError(datetime.fromtimestamp(now, UTC) + timedelta(seconds=wait))

    def _now(self) -> float:
        return self._clock().timestamp()


@cache
def _nobodys_hash() -> str:
    return hash_password(generated_password())


def is_login(login: str) -> bool:
    """Tell whether a text can be a login."""
    try:
        Account(login=login, role=Role.READER, password_hash="")
    except ValueError:
        return False
    return True


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

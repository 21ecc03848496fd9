"""Pseudonyms by keyed hash: a subject has one in a workspace, and without the workspace's key nobody finds back.

A plain hash is no pseudonym: a million hospital numbers are tried in half a second. HMAC-SHA256 with a secret key
is one as long as the key stays where it is: in `pseudonyms.key`, readable by its owner only, outside the database,
and in no export.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from annotator.errors import InputError

KEY_FILE = "pseudonyms.key"
_KEY_BYTES = 32
_DIGITS = 20  # hexadecimal: 80 bits, so that even a million subjects do not meet by chance
_NO_ID = frozenset(
    {"", "0", "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "n/a", "na", "test"}
)


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms with one key; `site` keeps apart two hospitals that count their patients alike."""

    key: bytes = field(repr=False)
    site: str = ""

    def subject(self, identifier: str) -> str | None:
        """Return the pseudonym of a patient id; None where the id names nobody.

        >>> names = Pseudonyms(bytes(32), "Leuven")
        >>> names.subject("4711") == names.subject(" 4711 ") != Pseudonyms(bytes(32), "Gent").subject("4711")
        True
        >>> names.subject("ANONYMOUS") is None
        True
        """
        cleaned = " ".join(identifier.split())
        return None if cleaned.lower() in _NO_ID else f"sub-{self.digest('subject', cleaned)}"

    def group(self, identifier: str) -> str:
        """Return the pseudonym of a cine or study."""
        return f"cine-{self.digest('group', identifier)}"

    def file(self, identifier: str) -> str:
        """Return the pseudonym of a file whose name may hold a patient's."""
        return f"dicom-{self.digest('file', identifier)[:16]}"

    def digest(self, kind: str, identifier: str) -> str:
        """Return 80 bits of HMAC(key, kind NUL site NUL identifier) as hexadecimal digits."""
        message = "\0".join((kind, self.site, identifier)).encode("utf-8", "surrogatepass")
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:_DIGITS]


def a_random_subject() -> str:
    """Return a pseudonym for a file that says nothing of its patient: never two such files as one subject."""
    return f"sub-{secrets.token_hex(_DIGITS // 2)}"


def open_pseudonyms(workspace: Path, site: str | None = None) -> Pseudonyms:
    """Read the workspace's key, or make it on first use; InputError where others may read it or it is damaged."""
    path = workspace / KEY_FILE
    try:
        key = _read(path) if path.exists() else _make(path)
    except OSError as error:
        raise InputError(f"the key of pseudonyms {path} cannot be used: {error.strerror or error}") from error
    return Pseudonyms(key, site or "")


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise InputError(f"others can read the key of pseudonyms {path}; make it yours alone: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise InputError(
            f"the key of pseudonyms {path} is damaged; put back its copy, or all subjects become others"
        )
    return key


def _make(path: Path) -> bytes:
    """Write a new key; where two processes try, the one that comes second takes the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(_KEY_BYTES)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(key.hex() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(part, path)
    except FileExistsError:
        return _read(path)
    finally:
        part.unlink()
    return key

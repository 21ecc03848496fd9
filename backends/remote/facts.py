"""What a server tells of itself: its models, its maker, its version. Its weights cannot be hashed from here."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from annotator.errors import BackendError
from backends.remote.connection import Connection
from backends.remote.failures import CallFailedError, Remedy
from backends.remote.retrying import RetryPolicy, call_with_retries

log = logging.getLogger(__name__)
_CHANGING = ("created", "permission")  # vLLM makes these up for every request


@dataclass(frozen=True)
class ServerFacts:
    """`served` is what the server lists about the model, empty where it lists nothing."""

    models: tuple[str, ...] = ()
    served: dict[str, Any] = field(default_factory=dict)
    version: str | None = None

    @property
    def maker(self) -> str:
        """Which program serves, as far as it says so: `vllm`, `llamacpp`, or empty."""
        owner = str(self.served.get("owned_by", "")).lower()
        if owner == "vllm":
            return "vllm"
        # llama.cpp's own server says `llamacpp`, llama-cpp-python says `me`
        return "llamacpp" if owner in ("llamacpp", "me") else ""

    def content_hash(self, url: str, model: str) -> str:
        """SHA-256 of everything that is known to tell this model from another."""
        known = {"server": urlsplit(url).netloc, "model": model, "served": self.served, "version": self.version}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def ask_facts(
    connection: Connection, model: str, policy: RetryPolicy, sleep: Callable[[float], None]
) -> ServerFacts:
    """Ask a server what it has; BackendError where it does not answer, or has no such model and says so."""
    entries = _listed(connection, policy, sleep)
    names = tuple(str(entry["id"]) for entry in entries)
    served = next((entry for entry in entries if entry["id"] == model), {})
    if names and not served:
        # `transformers serve` lists its cache only, and serves folders beside it
        if not model.startswith(("/", "./")):
            raise _no_such_model(connection, model, names)
        log.warning("%s does not list the model %s; it is asked for it all the same", connection.host, model)
    stable = {key: value for key, value in served.items() if key not in _CHANGING}
    return ServerFacts(names, stable, _version(connection, policy, sleep))


def no_longer_there(connection: Connection, model: str, failure: CallFailedError) -> BackendError:
    """Return the error for a question that met a 404: the model is gone, or something else that the server says."""
    try:
        names = tuple(str(entry["id"]) for entry in _entries(connection))
    except CallFailedError:
        names = ()
    return BackendError(failure.reason) if model in names else _no_such_model(connection, model, names)


def _no_such_model(connection: Connection, model: str, names: tuple[str, ...]) -> BackendError:
    has = f"it has: {', '.join(names[:20])}" if names else "nor does it say what it has; is the address right?"
    return BackendError(f"the server at {connection.url} has no model {model!r}; {has}")


def _listed(connection: Connection, policy: RetryPolicy, sleep: Callable[[float], None]) -> list[dict[str, Any]]:
    try:
        return call_with_retries(lambda: _entries(connection), policy, sleep)[0]
    except CallFailedError as failure:
        if failure.remedy is Remedy.WAIT:
            raise BackendError(failure.reason) from None
        return []  # a server need not list its models


def _entries(connection: Connection) -> list[dict[str, Any]]:
    found = connection.get("/models").get("data")
    return (
        [entry for entry in found if isinstance(entry, dict) and "id" in entry] if isinstance(found, list) else []
    )


def _version(connection: Connection, policy: RetryPolicy, sleep: Callable[[float], None]) -> str | None:
    """The `/version` of vLLM; others have none. Retried, since the model's name depends on it."""
    parts = urlsplit(connection.url)
    address = f"{parts.scheme}://{parts.netloc}/version"
    try:
        version = call_with_retries(lambda: connection.get(address), policy, sleep)[0].get("version")
    except (CallFailedError, BackendError):
        return None
    return str(version)[:100] if version else None

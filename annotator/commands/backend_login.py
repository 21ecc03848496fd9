"""The password between Label Studio and our ML backend: made once a workspace, kept with mode 0600."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from annotator.errors import StoreError
from annotator.files import write_atomically

USERNAME = "annotator"


@dataclass(frozen=True)
class BackendLogin:
    """What the ML backend asks for."""

    username: str
    password: str = field(repr=False)


def path_of(workspace: Path) -> Path:
    """Return the file that keeps the login."""
    return workspace / "backend-credentials.json"


def backend_login(workspace: Path) -> BackendLogin:
    """Read the login, or make a new random one; StoreError where the file is broken."""
    path = path_of(workspace)
    if not path.exists():
        made = BackendLogin(USERNAME, secrets.token_urlsafe(18))
        write_atomically(path, json.dumps(asdict(made), indent=2).encode(), mode=0o600)
        return made
    try:
        return BackendLogin(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path} cannot be read as a login: {error}; delete it and connect again") from None

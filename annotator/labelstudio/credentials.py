"""Where the server of a workspace is and how we log in; secrets never show in a repr."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from annotator.errors import LabelStudioError
from annotator.files import write_atomically

USERNAME = "sonographer@localhost.local"


@dataclass(frozen=True)
class Credentials:
    """The login of the browser, the token of the API, and the key that signs sessions."""

    username: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    secret_key: str = field(repr=False)


def home(workspace: Path) -> Path:
    """Return the folder of a workspace that belongs to Label Studio."""
    return workspace / "labelstudio"


def path_of(workspace: Path) -> Path:
    """Return the file that keeps the credentials, readable by its owner alone."""
    return home(workspace) / "credentials.json"


def load(workspace: Path) -> Credentials:
    """Read the credentials; LabelStudioError where the server was never started or the file is broken."""
    path = path_of(workspace)
    try:
        return Credentials(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise LabelStudioError(
            f"{workspace} has no Label Studio yet; run `annotator labelstudio start` first"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise LabelStudioError(f"{path} cannot be read as credentials: {error}") from None


def load_or_make(workspace: Path) -> Credentials:
    """Read the credentials, or make new random ones and keep them with mode 0600."""
    path = path_of(workspace)
    if path.exists():
        return load(workspace)
    made = Credentials(USERNAME, secrets.token_urlsafe(12), secrets.token_hex(20), secrets.token_urlsafe(48))
    write_atomically(path, json.dumps(asdict(made), indent=2).encode(), mode=0o600)
    return made

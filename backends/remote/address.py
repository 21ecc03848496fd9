"""Where a model's server may be: no secrets in its URL, and no image leaves this machine unasked."""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from annotator.errors import InputError

KEY_VARIABLES = "ANNOTATOR_REMOTE_API_KEY (or OPENAI_API_KEY)"


def server_url(url: str, *, allow_upload: bool) -> str:
    """Check the address of a server and return it as the OpenAI client wants it, its path ending in /v1 or so.

    A name counts as this machine only where it says so itself (`localhost`, 127.x.x.x, ::1). InputError where the
    address cannot be used, or where images would leave the machine without `allow_upload`.

    >>> server_url("http://localhost:8000", allow_upload=False)
    'http://localhost:8000/v1'
    >>> server_url("https://models.example.org/vision/v1/", allow_upload=True)
    'https://models.example.org/vision/v1'
    """
    parts = _checked_parts(url)
    host = parts.hostname or ""
    if not is_this_machine(host):
        if not allow_upload:
            raise InputError(
                f"{host} is another machine: images stay on this one unless you allow their upload; "
                "repeat with --allow-upload"
            )
        if parts.scheme == "http" and not _is_private(host):
            raise InputError(f"{host} is on the public net: images go there over https only; use https://{host}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def is_this_machine(host: str) -> bool:
    """Tell whether a host name or address is this machine, without asking any name server.

    >>> [is_this_machine(name) for name in ("LOCALHOST", "127.0.0.2", "::1", "0.0.0.0", "localhost.example.org")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def usable_key(api_key: SecretStr | None) -> str | None:
    """Return the key as it goes into a header, None where there is none; InputError never shows it."""
    key = api_key.get_secret_value().strip() if api_key else ""
    if not all("!" <= character <= "~" for character in key):
        raise InputError(f"the key in {KEY_VARIABLES} holds blanks or letters that no key has; set it anew")
    return key or None


def _checked_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InputError("the model server's address cannot be used; it looks like http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            f"the address of {parts.hostname} may hold no name, password or ?query; put a key into {KEY_VARIABLES}"
        )
    return parts


def _is_private(host: str) -> bool:
    """Every address of the host is one of a private network; a name that nobody knows is not."""
    try:
        found = {str(item[4][0]).partition("%")[0] for item in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address).is_private for address in found)

"""The guard in front of everything below /review: who may pass, from where, how much, and with what headers.

It stands before Gradio's own routes too, some of which would answer without a login. Requests that a foreign page
makes are refused by their Origin, names of foreign hosts by the Host header, and large bodies while they arrive.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request

from review.accounts import Accounts, Person

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/review"
OPEN_PATHS = ("/login", "/logout")
COOKIE = "annotator_review"
LARGEST_BODY_BYTES = 256 * 1024
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_PERSON = "annotator.person"

# 'unsafe-eval' is what Gradio's templates need; no data of ours goes through them.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'none'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'"
)
_LOGIN_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware; other paths pass untouched."""

    def __init__(self, app: App, *, accounts: Accounts, hosts: Sequence[str] = ()) -> None:
        """Let pass who is logged in at `accounts`, under this machine's own names or one of `hosts`."""
        self._app = app
        self._accounts = accounts
        self._hosts = {*LOCAL_HOSTS, *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and hand it on, or answer it."""
        path = _path(scope)
        is_ours = path == PREFIX or path.startswith(f"{PREFIX}/") or path in OPEN_PATHS
        if scope["type"] not in ("http", "websocket") or not is_ours:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # nothing of ours speaks it
        else:
            await self._guard(scope, receive, _with_headers(send, is_login=path in OPEN_PATHS))

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = self._foreign(headers) or _too_large(headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        # Gradio builds addresses from this header, and anybody may send it.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-host"]
        if _path(scope) not in OPEN_PATHS:
            person = await run_in_threadpool(self._accounts.who, session_secret(headers))
            if person is None:
                await _turn_away(scope, send)
                return
            scope[_PERSON] = person
        await self._app(scope, _counted(receive), send)

    def _foreign(self, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return 400, "this name is not this server's: see --allow-host"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "requests from other pages are not taken"
        return None


def _path(scope: Scope) -> str:
    """Return the path as routes see it: behind a proxy's prefix the server hands over both together."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


def person_of(request: Request) -> Person:
    """Return who sent a request that the guard let pass."""
    person = request.scope[_PERSON]
    assert isinstance(person, Person)
    return person


def login_of(request: Request) -> str | None:
    """Return the login of a request, or None: what Gradio's `auth_dependency` asks for."""
    person = request.scope.get(_PERSON)
    return person.login if isinstance(person, Person) else None


def session_secret(headers: Headers) -> str | None:
    """Return the browser's secret from its cookie, or None."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _name_of(host: str) -> str:
    """Return a Host header without its port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.lower()


def _too_large(headers: Headers) -> tuple[int, str] | None:
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
        return 413, f"a request may have {LARGEST_BODY_BYTES // 1024} kB at most"
    return None


class BodyTooLargeError(Exception):
    """More bytes came than were announced or are allowed."""


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY_BYTES:
            raise BodyTooLargeError
        return message

    return counted


def _with_headers(send: Send, *, is_login: bool) -> Send:
    policy = _LOGIN_POLICY if is_login else _POLICY
    fixed = {**_HEADERS, "content-security-policy": policy}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            foreign = (b"access-control-", *(name.encode() for name in fixed))
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(foreign)]
            ours = [(name.encode(), value.encode()) for name, value in fixed.items()]
            if not any(name.lower() == b"cache-control" for name, _ in kept):
                ours.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return sending


async def _turn_away(scope: Scope, send: Send) -> None:
    """Send a page to the login; everything else gets 401."""
    is_page = scope["method"] == "GET" and _path(scope) in (PREFIX, f"{PREFIX}/")
    if not is_page:
        await _answer(send, 401, "not logged in")
        return
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = quote(f"{PREFIX}/" + (f"?{query}" if query else ""), safe="/")
    await _respond(send, 303, b"", [(b"location", f"/login?next={wanted}".encode())])


async def _answer(send: Send, status: int, line: str) -> None:
    await _respond(send, status, orjson.dumps({"error": line}), [(b"content-type", b"application/json")])


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})

"""One server, over the OpenAI client: bounded replies, no redirects, every failure as a CallFailedError.

The client's own retries are off: ours are bounded in a way that tests can see. Its HTTP library is its own too.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from annotator.errors import BackendError
from backends.remote.address import KEY_VARIABLES, is_this_machine
from backends.remote.failures import CallFailedError, Remedy, clean

LARGEST_REPLY = 4 * 1024 * 1024
CONNECT_S = 10.0
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_REFUSED_FORM = {400, 415, 422, 501}


class Connection:
    """Requests to one server. Safe for several threads."""

    def __init__(self, url: str, key: str | None, *, timeout_s: float) -> None:
        """Prepare for `url` (checked before); nothing is asked yet."""
        self.url = url
        self.host = urlsplit(url).hostname or ""
        self._key = key
        self._http = openai.DefaultHttpxClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            verify=_tls_context(),
            follow_redirects=False,  # the images were meant for this server, not for another that it names
            trust_env=not is_this_machine(self.host),  # no proxy between us and ourselves
            headers={"Accept-Encoding": "identity"},  # what is not packed cannot unpack to more than its bound
            event_hooks={"response": [_bounding(timeout_s)]},
        )
        unsent = ("OpenAI-Organization", "OpenAI-Project", *(() if key else ("Authorization",)))
        self._options: Any = {"headers": {name: openai.Omit() for name in unsent}}
        self._client = openai.OpenAI(
            base_url=url,
            api_key=key or "none",  # without one the client would take OPENAI_API_KEY to whatever server
            max_retries=0,
            http_client=self._http,
            timeout=self._http.timeout,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON below the server's URL and return the JSON object of its reply."""
        return self._json(
            lambda: self._client.post(path, cast_to=httpx2.Response, body=dict(body), options=self._options)
        )

    def get(self, path: str) -> dict[str, Any]:
        """Read a JSON object from below the server's URL, or from anywhere on it where `path` is a full URL."""
        return self._json(lambda: self._client.get(path, cast_to=httpx2.Response, options=self._options))

    def _json(self, send: Any) -> dict[str, Any]:
        try:
            response: httpx2.Response = send()
        except openai.APIStatusError as error:
            raise self._status_failure(error.response) from None
        except openai.APITimeoutError:
            raise CallFailedError(f"{self.host} took too long", Remedy.WAIT) from None
        except openai.APIConnectionError as error:
            why = type(error.__cause__).__name__ if error.__cause__ else "no connection"
            raise CallFailedError(f"no answer from {self.url} ({why}); does the server run?", Remedy.WAIT) from None
        try:
            document = json.loads(response.content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            said = clean(response.content.decode("utf-8", "replace"), self._key)
            raise CallFailedError(f"{self.host} answered something else than JSON: {said!r}", Remedy.WAIT)
        return document

    def _status_failure(self, response: httpx2.Response) -> Exception:
        status = response.status_code
        if status in (401, 403):
            return BackendError(f"{self.host} does not accept the key ({status}); set {KEY_VARIABLES}")
        if 300 <= status < 400:
            there = urlsplit(response.headers.get("location", "")).hostname or "elsewhere"
            return BackendError(
                f"{self.host} sends us on to {there}, where no image goes unasked; name its own address"
            )
        said, code = _complaint(response)
        reason = f"{self.host} answered {status}: {clean(said, self._key) or 'no reason given'}"
        if code == "insufficient_quota":
            return BackendError(f"{reason}; the account behind the key needs credit")
        remedy = Remedy.WAIT if status in _PASSING else Remedy.NONE
        remedy = Remedy.ASK_DIFFERENTLY if status in _REFUSED_FORM else remedy
        return CallFailedError(reason, remedy, status=status, wait_s=_wished_wait_s(response))


class _BoundedStream(httpx2.SyncByteStream):
    """The body of a reply, up to a size and a moment."""

    def __init__(self, response: httpx2.Response, seconds: float) -> None:
        self._response, self._inner = response, response.stream
        self._until = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        assert isinstance(self._inner, httpx2.SyncByteStream)
        for chunk in self._inner:
            size += len(chunk)
            if size > LARGEST_REPLY:
                host = self._response.url.host
                limit = f"{LARGEST_REPLY // 1024**2} MiB"
                raise CallFailedError(f"{host} answered more than {limit}, which is no answer", Remedy.NONE)
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("the reply trickles", request=self._response.request)
            yield chunk

    def close(self) -> None:
        assert isinstance(self._inner, httpx2.SyncByteStream)
        self._inner.close()


@cache
def _tls_context() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes a twentieth of a second."""
    return httpx2.create_ssl_context()


def _bounding(seconds: float) -> Any:
    def bound(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CallFailedError(f"{response.url.host} packs its replies although asked not to", Remedy.NONE)
        response.stream = _BoundedStream(response, seconds)

    return bound


def _complaint(response: httpx2.Response) -> tuple[str, str]:
    """What an error's body says, and its code where it has one; servers agree on no form."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return response.text, ""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        return str(inner), ""
    return str(inner.get("message") or inner.get("detail") or inner), str(inner.get("code") or "")


def _wished_wait_s(response: httpx2.Response) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date."""
    wish = response.headers.get("retry-after", "")
    try:
        seconds = float(wish)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(wish).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return seconds if 0.0 <= seconds < float("inf") else None

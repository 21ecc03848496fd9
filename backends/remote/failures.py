"""What goes wrong between us and a server, in words that hold neither key nor image."""

import re
from enum import Enum

_EXCERPT = 200
_DATA_URL = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]*")
_LONG_CODE = re.compile(r"[A-Za-z0-9+/=_-]{80,}")


class Remedy(Enum):
    """What may help after a failed request."""

    WAIT = "the server may answer later: ask again"
    ASK_DIFFERENTLY = "the server does not take such a request"
    NONE = "asking again is of no use"


class CallFailedError(Exception):
    """One request failed. `wait_s` is what the server asked for; the message is one clean line."""

    def __init__(
        self,
        reason: str,
        remedy: Remedy,
        *,
        status: int | None = None,
        wait_s: float | None = None,
        retries: int = 0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.status = status
        self.wait_s = wait_s
        self.retries = retries


def clean(text: str, key: str | None = None) -> str:
    """Return the start of what a server said on one line, without the key, images or markup that it may repeat.

    >>> clean("bad <b>image</b> data:image/png;base64,iVBORw0KGgo= for\\nkey-1", "key-1")
    'bad image (image) for ***'
    """
    if key:
        text = text.replace(key, "***")
    text = _LONG_CODE.sub("(...)", _DATA_URL.sub("(image)", text[:100_000]))
    text = re.sub(r"(?is)<(style|script|head)\b.*?</\1>|<[^<>]{0,200}>", "", text)
    return " ".join(text.split())[:_EXCERPT]

"""Why a request of a reader is not met. Each says one clear line; routes turn `status` into the HTTP answer.

AnnotatorError
└── Refusal
    ├── Unusable     400  something in the request cannot be understood or is not allowed here
    ├── NotAllowed   403  the account or its role may not
    ├── Unknown      404  there is no such study or case
    ├── OutOfTurn    409  another case is open, or this one is locked; `current` names the open one
    ├── TooLong      413  a text is longer than anybody writes
    └── NotNow       429  a washout, session limit or throttle; `until` says when
"""

from datetime import datetime
from typing import Any

from annotator.errors import AnnotatorError


class Refusal(AnnotatorError):  # noqa: N818 - an answer that is meant, not a fault
    """Base of all; `status` is the HTTP status, `details` go into the answer beside the line."""

    status = 400

    def __init__(self, line: str, **details: Any) -> None:
        super().__init__(line)
        self.details = details


class Unusable(Refusal):
    """Something in the request cannot be understood or is not allowed here."""


class NotAllowed(Refusal):
    """The account or its role may not."""

    status = 403


class Unknown(Refusal):
    """There is no such study or case."""

    status = 404


class OutOfTurn(Refusal):
    """Another case is open, or this one is locked."""

    status = 409


class TooLong(Refusal):
    """A text is longer than anybody writes."""

    status = 413


class NotNow(Refusal):
    """A washout, session limit or throttle."""

    status = 429

    def __init__(self, line: str, until: datetime) -> None:
        super().__init__(line, until=until.isoformat())

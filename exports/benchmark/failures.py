"""Why an answer or a model failed, by kind: what the mend is differs."""

import re
from enum import StrEnum

from exports.answers import LONGEST_ANSWER, Answer
from exports.benchmark.records import AnswerLine, Asked
from exports.flaws import Flaw, flaw_of


class Failure(StrEnum):
    """The kinds; the order is that of reports."""

    NOT_OPENED = "cannot be opened"
    OUT_OF_MEMORY = "out of memory"
    DIED = "process died"
    WRONG_KEY = "key not accepted"
    QUOTA = "quota used up"
    TIMEOUT = "took too long"
    SERVER_ERROR = "server error"
    ERROR = "other error"
    EMPTY = "empty"
    OVERSIZED = f"longer than {LONGEST_ANSWER:,} characters, cut there"
    LOOP = "the same words over and over"
    COPIED_PROMPT = "copy of the prompt"
    TRUNCATED = "cut off by the token limit"
    UNREADABLE = "no answer in the form asked for"


ENDS_A_MODEL = frozenset({Failure.OUT_OF_MEMORY, Failure.WRONG_KEY, Failure.QUOTA})
"""What will not get better with the next frame."""

_SIGNS: tuple[tuple[Failure, str], ...] = (
    (Failure.WRONG_KEY, r"does not accept the key|(?:invalid|incorrect) api key"),
    (Failure.QUOTA, r"needs credit|insufficient[_ ]quota|quota"),
    (Failure.OUT_OF_MEMORY, r"out of memory|memoryerror|can't allocate memory"),
    (Failure.DIED, r"process died"),
    (Failure.TIMEOUT, r"took too long|took longer than|timed? ?out"),
    (Failure.OVERSIZED, r"answered more than"),
    (Failure.EMPTY, r"^empty answer"),
    (Failure.SERVER_ERROR, r" answered (?:\d{3}|something else)|no answer from |server error"),
)


def kind_of_error(reason: str) -> Failure:
    """Sort what an engine says of a question that failed.

    >>> kind_of_error("models.example.org does not accept the key (401); set KEY").value
    'key not accepted'
    >>> kind_of_error("IndexError: list index out of range").value
    'other error'
    """
    for kind, sign in _SIGNS:
        if re.search(sign, reason, re.IGNORECASE):
            return kind
    return Failure.ERROR


_FLAWS = {
    Flaw.SERVER_ERROR: Failure.SERVER_ERROR,
    Flaw.EMPTY: Failure.EMPTY,
    Flaw.OVERSIZED: Failure.OVERSIZED,
    Flaw.LOOP: Failure.LOOP,
    Flaw.COPIED_PROMPT: Failure.COPIED_PROMPT,
    Flaw.TRUNCATED: Failure.TRUNCATED,
}


def failure_of(line: AnswerLine, asked: Asked) -> Failure | None:
    """Return why an answer is none; None for one that can be used."""
    if line.error is not None:
        return kind_of_error(line.error)
    if asked.kind == "phases":
        prediction = line.prediction
        lost = prediction is None or (bool(prediction.raw_texts) and _says_nothing(line))
        return Failure.UNREADABLE if lost else None
    flaw = flaw_of(_as_answer(line, asked))
    if flaw is not None:
        return _FLAWS[flaw]
    return Failure.UNREADABLE if asked.kind == "fields" and line.fields is None else None


def _says_nothing(line: AnswerLine) -> bool:
    prediction = line.prediction
    return prediction is None or not (prediction.interpretation or prediction.plane or prediction.findings)


def _as_answer(line: AnswerLine, asked: Asked) -> Answer:
    return Answer(
        image=line.frame_id,
        question="",
        answer=line.text,
        prompt=asked.prompt,
        finish_reason=line.finish,
        characters=line.characters,
    )

"""What makes a written answer no answer: a stored server error, nothing, a loop, a copy of the prompt, a cut.

Flawed answers count as failures: they score 0, whatever their words would score.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from operator import eq

from exports.answers import LONGEST_ANSWER, Answer


class Flaw(StrEnum):
    """Why an answer counts as a failure; the first that applies, in this order."""

    SERVER_ERROR = "server error stored as an answer"
    EMPTY = "empty"
    OVERSIZED = f"longer than {LONGEST_ANSWER:,} characters"
    LOOP = "the same words over and over"
    COPIED_PROMPT = "copy of the prompt"
    TRUNCATED = "cut off"


# At the beginning: 'measurement error' inside a sentence is clinical.
_ERROR_START = re.compile(
    r"\W*(?:"
    r"\[error\]|error\s*(?:[:\-(]|code\b|\d{3}\b|$)|(?:an\s+)?error (?:occurred|while|during|in processing)\b"
    r"|(?:an?\s+)?(?:api|http|server|network|request|internal)\s*error\b"
    r"|internal server error|bad gateway|service (?:temporarily )?unavailable|gateway time-?out|too many requests"
    r"|(?:http\S*\s+)?(?:status(?: code)?:?\s*)?[45]\d\d\s+(?:client|server|bad|internal|service|gateway|too|not"
    r"|forbidden|unauthorized)"
    r"|traceback \(most recent|exception\b\s*[:(]|failed to (?:connect|generate|process|load|fetch)"
    r"|(?:connection|read|request)\s?(?:refused|reset|aborted|error|timed out|timeout)|timed? ?out\b"
    r"|(?:rate limit|quota)\b.{0,30}(?:exceeded|reached)|insufficient[_ ]quota|(?:invalid|incorrect) api key"
    r"|max retries exceeded|upstream (?:connect|request)|model (?:is )?(?:overloaded|not (?:found|loaded))"
    r"|[\w.]{0,60}(?:Error|Exception|Timeout)\s*(?:[:(]|$)|<!doctype html|<html"
    r")",
    re.IGNORECASE,
)
# Anywhere in a short answer: nothing clinical reads like these.
_ERROR_ANYWHERE = re.compile(
    r"cuda out of memory|outofmemoryerror|httpsconnectionpool|httpconnectionpool|internal server error"
    r"|max retries exceeded|\bECONN(?:REFUSED|RESET)\b|error code: [45]\d\d|502 bad gateway",
    re.IGNORECASE,
)
_ERROR_JSON = re.compile(r'\s*\{\s*"(?:error|detail|errors)"\s*:')
_TURN_MARKS = re.compile(
    r"<\|im_start\|>|<\|user\|>|\[/?INST\]|^\s*(?:user|human)\s*:", re.IGNORECASE | re.MULTILINE
)
_CUT_REASONS = frozenset({"length", "max_tokens", "max_length", "model_length"})

_SHORT_ANSWER = 600
_LONGEST_PERIOD, _REPEATS, _FEWEST_WORDS = 24, 4, 12
_LONGEST_WORD = 200
_SHORTEST_COPY = 5


def flaw_of(answer: Answer) -> Flaw | None:
    """Return why an answer is a failure; None for an answer that can be scored."""
    if answer.error or is_server_error(answer.answer):
        return Flaw.SERVER_ERROR
    if not any(letter.isalnum() for letter in answer.answer):
        return Flaw.EMPTY
    if answer.characters > LONGEST_ANSWER:
        return Flaw.OVERSIZED
    if is_loop(answer.answer):
        return Flaw.LOOP
    if is_copied(answer.answer, answer.prompt) or is_copied(answer.answer, answer.question):
        return Flaw.COPIED_PROMPT
    if (answer.finish_reason or "").lower() in _CUT_REASONS or is_cut(answer.answer):
        return Flaw.TRUNCATED
    return None


@lru_cache(maxsize=65536)
def is_server_error(text: str) -> bool:
    """Whether a text is what a server or a library said instead of the model.

    >>> is_server_error("ERROR: 500 Server Error"), is_server_error("Measurement error is possible")
    (True, False)
    """
    start = text[:_SHORT_ANSWER]
    if _ERROR_START.match(start) or _ERROR_JSON.match(start):
        return True
    return len(text) <= _SHORT_ANSWER and _ERROR_ANYWHERE.search(start) is not None


@lru_cache(maxsize=65536)
def is_loop(text: str) -> bool:
    """Whether words come four times or more in a row, a dozen of them in all.

    >>> is_loop("the fetal head " * 5), is_loop("normal, normal, normal")
    (True, False)
    """
    words = text.lower().split()
    if any(len(word) > _LONGEST_WORD and len(set(word)) < len(word) / 10 for word in words):
        return True
    if len(words) < _FEWEST_WORDS or len(set(words)) > 0.6 * len(words):
        return False
    return any(_echoes(words, period) for period in range(1, _LONGEST_PERIOD + 1))


def _echoes(words: Sequence[str], period: int) -> bool:
    wanted = max((_REPEATS - 1) * period, _FEWEST_WORDS - period)
    repeated = sum(map(eq, words, words[period:]))  # cheap, and mostly enough
    return repeated >= wanted and _longest_echo(words, period) >= wanted


def _longest_echo(words: Sequence[str], period: int) -> int:
    """The longest run of words that each equal the one `period` places before."""
    longest = run = 0
    for before, word in zip(words, words[period:], strict=False):
        run = run + 1 if word == before else 0
        longest = max(longest, run)
    return longest


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower().replace("_", " "))


@lru_cache(maxsize=65536)
def is_copied(text: str, prompt: str) -> bool:
    """Whether a text is mostly its prompt, or holds the marks of a chat's turns.

    >>> is_copied("Which structures are seen in this image?", "Which structures are seen in this image?")
    True
    >>> is_copied("heart", "Is this heart, liver or stomach?"), is_copied("Image quality", "image_quality")
    (False, True)
    """
    if _TURN_MARKS.search(text):
        return True
    said, asked = " ".join(_words(text)), " ".join(_words(prompt))
    if not asked or not said:
        return False
    if said == asked and len(asked.split()) > 1:
        return True
    if len(said.split()) >= _SHORTEST_COPY and f" {said} " in f" {asked} ":
        return True
    return len(asked.split()) >= _SHORTEST_COPY and f" {asked} " in f" {said} " and len(asked) > len(said) / 2


@lru_cache(maxsize=65536)
def is_cut(text: str) -> bool:
    """Whether a JSON object, a list or a code fence was begun and never closed.

    >>> is_cut('{"image_quality": "goo'), is_cut('{"image_quality": "good"}'), is_cut("good")
    (True, False, False)
    """
    text = text.strip()
    if text.startswith("```") and text.count("```") % 2:
        return True
    body = text.removeprefix("```json").removeprefix("```").strip()
    return body.startswith(("{", "[{", '["')) and not body.rstrip("` \n").endswith(("}", "]"))

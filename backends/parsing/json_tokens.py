"""The words that JSON, and what models take for JSON, is made of, each with its place in the text.

Two ways to read a string: by the letter of JSON, where a strict reader has already found the text around it sound;
and warily, where something is broken. Warily, a `SHORT` string (key, label) ends before any bracket, so that a lost
quote cannot swallow the next object; a `LONG` one (an interpretation) ends where its quote is followed by what may
follow a string, so that quotes inside a sentence do no harm.
"""

import json
import math
import re
from enum import StrEnum
from typing import NamedTuple

from backends.parsing.issues import Reason

Scalar = str | int | float | bool | None


class Strings(StrEnum):
    """What strings are expected where the text is broken."""

    SHORT = "short"
    LONG = "long"


class TokenKind(StrEnum):
    """The kinds of tokens; punctuation is its own `value`."""

    PUNCTUATION = "punctuation"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"
    WORD = "word"
    SKIP = "skip"
    END = "end"


class Token(NamedTuple):
    """One token and the span of its value (a string's without its quotes) in the text.

    `fault` is what had to be repaired to read it; `cut` says that the text ended inside it.
    """

    kind: TokenKind
    start: int
    stop: int
    next: int
    value: Scalar = None
    fault: Reason | None = None
    cut: bool = False


_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<punctuation>[\[\]{}(),:])
  | (?P<integer>-?(?:0|[1-9][0-9]{0,14})(?=[\s,\]}]))
  | (?P<quote>\\"|&quot;|["'“”„‘’`])
  | (?P<comment>(?://|\#)[^\n\[\]{}]*)
  | (?P<unseen>[\s\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069])
  | (?P<word>[^\s\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069\[\]{}(),:"'“”„‘’`\\]+)
  | (?P<junk>.)
  | \Z)""",
    re.VERBOSE | re.DOTALL,
)
_STRICT_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 32
_LITERALS: dict[str, Scalar] = {"null": None, "true": True, "false": False}
_PYTHON: dict[str, Scalar] = {"None": None, "True": True, "False": False}
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
_CLOSERS = {"“": '”“"', "”": '”"', "„": '“”"', "‘": "’'", "’": "’'", "`": "`'"}
_BREAKS = re.compile(r"[\[\]{}\n]")
# What may stand behind a string in an object or a list: its end, a colon, a comma and more, or a key without comma.
_FOLLOWS = r"(?=\s*(?:\}|\](?=\s*(?:[,\]}]|\Z))|:|,\s*(?:[\"'“}\]]|\Z)|[\"'“][A-Za-z_ ]{1,40}[\"'”]\s*:|\Z))"


def next_token(text: str, position: int, limit: int, *, strict: bool, strings: Strings) -> Token:
    """Read the token at `position`, white space in front skipped; its kind is END where nothing is left."""
    found = _TOKEN.match(text, position, limit)
    if found is None or found.lastgroup is None:
        return Token(TokenKind.END, limit, limit, limit)
    group = found.lastgroup
    start, stop = found.span(group)
    match group:
        case "punctuation":
            return _punctuation(text[start], start, stop)
        case "integer":
            return Token(TokenKind.NUMBER, start, stop, stop, int(text[start:stop]))
        case "quote":
            return _string(text, start, limit, found["quote"], strict=strict, strings=strings)
        case "comment":
            return Token(TokenKind.SKIP, start, stop, stop, fault=Reason.COMMENT)
        case "word":
            return _word(found["word"], start, stop, cut=stop == limit)
        case _:
            return Token(TokenKind.SKIP, start, stop, stop, fault=Reason.JUNK)


def to_number(word: str) -> int | float | None:
    """Read a number as JSON, Python or a careless hand writes it; None for anything else, inf for one too long.

    >>> to_number("1e3"), to_number("007"), to_number("12px")
    (1000.0, 7, None)
    """
    if _NUMBER.fullmatch(word) is None:
        return _NOT_FINITE.get(word.lower())
    if len(word) > _LONGEST_NUMBER:
        return math.inf
    return int(word) if word.lstrip("+-").isdigit() else float(word)


def _punctuation(sign: str, start: int, stop: int) -> Token:
    if sign not in "()":
        return Token(TokenKind.PUNCTUATION, start, stop, stop, sign)
    sign = "[" if sign == "(" else "]"  # a Python tuple
    return Token(TokenKind.PUNCTUATION, start, stop, stop, sign, Reason.PYTHON_LITERAL)


def _word(word: str, start: int, stop: int, *, cut: bool) -> Token:
    if word in _LITERALS:
        return Token(TokenKind.LITERAL, start, stop, stop, _LITERALS[word], cut=cut)
    if word in _PYTHON:
        return Token(TokenKind.LITERAL, start, stop, stop, _PYTHON[word], Reason.PYTHON_LITERAL, cut)
    number = to_number(word)
    if number is not None:
        fault = None if _JSON_NUMBER.fullmatch(word) or not math.isfinite(number) else Reason.ODD_NUMBER
        return Token(TokenKind.NUMBER, start, stop, stop, number, fault, cut)
    return Token(TokenKind.WORD, start, stop, stop, word, Reason.UNQUOTED, cut)


def _string(text: str, start: int, limit: int, quote: str, *, strict: bool, strings: Strings) -> Token:
    if strict:
        found = _STRICT_STRING.match(text, start, limit)
        if found is not None:
            return _decoded(found[1], found.start(1), found.end(1), found.end(), None)
    begin = start + len(quote)
    fault = None if quote == '"' else Reason.QUOTES
    closed = _end_of_long(text, begin, limit, quote) if strings is Strings.LONG else None
    if closed is None and strings is Strings.SHORT:
        closed = _end_of_short(text, begin, limit, quote)
    if closed is None:
        stop = _where_it_breaks(text, begin, limit) if strings is Strings.SHORT else limit
        body = text[begin:stop].rstrip(" \t,:")
        return Token(
            TokenKind.STRING, begin, begin + len(body), stop, body, Reason.UNCLOSED_STRING, cut=stop == limit
        )
    return _decoded(text[begin : closed[0]], begin, closed[0], closed[1], fault)


def _end_of_short(text: str, begin: int, limit: int, quote: str) -> tuple[int, int] | None:
    """Where a key or label ends and what follows begins; None where a bracket or a line end comes first."""
    if len(quote) > 1:
        stop = text.find(quote, begin, limit)
        return None if stop < 0 or _BREAKS.search(text, begin, stop) else (stop, stop + len(quote))
    closers = _CLOSERS.get(quote, quote)
    position = begin
    while position < limit:
        sign = text[position]
        if sign in closers:
            return position, position + 1
        if sign in "[]{}\n":
            return None
        position += 2 if sign == "\\" else 1
    return None


def _end_of_long(text: str, begin: int, limit: int, quote: str) -> tuple[int, int] | None:
    closers = re.escape(quote) if len(quote) > 1 else f"[{_CLOSERS.get(quote, quote)}]"
    found = re.compile(rf"(?<!\\){closers}{_FOLLOWS}").search(text, begin, limit)
    return found.span() if found else None


def _where_it_breaks(text: str, begin: int, limit: int) -> int:
    found = _BREAKS.search(text, begin, limit)
    return found.start() if found else limit


def _decoded(body: str, start: int, stop: int, following: int, fault: Reason | None) -> Token:
    """Undo the escapes of a string; one that is no JSON is kept as it stands."""
    if "\\" not in body and '"' not in body and body.isprintable():
        return Token(TokenKind.STRING, start, stop, following, body, fault)
    try:
        return Token(TokenKind.STRING, start, stop, following, json.loads(f'"{body}"'), fault)
    except ValueError:
        value = body.replace('\\"', '"').replace("\\'", "'")
        return Token(TokenKind.STRING, start, stop, following, value, fault or Reason.ESCAPE)

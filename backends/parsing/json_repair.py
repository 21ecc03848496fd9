"""Reads JSON out of a model's answer: every value with its place, every repair with its reason.

One pass over the text, with a stack of its own instead of recursion. Wherever an object begins, a strict reader
is asked first: what it finds sound is taken by the letter of JSON, so that an intact object is never lost to
damage around it. The rest is read warily (`json_tokens`): lost brackets, commas and quotes are made good where
only one reading is possible, and noted.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from backends.parsing.issues import Reason
from backends.parsing.json_tokens import Scalar, Strings, Token, TokenKind, next_token

DEEPEST = 24


class Kind(StrEnum):
    """What a value is."""

    OBJECT = "object"
    ARRAY = "array"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"
    WORD = "word"


@dataclass(slots=True)
class Node:
    """One value. `start` and `stop` span it in the text: a string without its quotes, a container with brackets.

    An object's `items[i]` is the value of `keys[i]`; a key may stand there twice. `cut`: the text ended inside.
    """

    kind: Kind
    start: int
    stop: int
    value: Scalar = None
    keys: list[str] = field(default_factory=list)
    items: list["Node"] = field(default_factory=list)
    cut: bool = False

    def pairs(self) -> Iterator[tuple[str, "Node"]]:
        """Yield the keys and values of an object; nothing for any other kind."""
        return zip(self.keys, self.items, strict=True) if self.kind is Kind.OBJECT else iter(())


@dataclass(frozen=True, slots=True)
class Fault:
    """A repair at a place in the text."""

    reason: Reason
    start: int
    stop: int


@dataclass(slots=True)
class Scan:
    """The values that stand side by side in a text, what was repaired, and what lies around them (`gaps`)."""

    roots: list[Node] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    cut: bool = False


@dataclass(slots=True)
class _Open:
    node: Node
    key: Token | None = None
    colon: bool = False
    comma: bool = False


_OPENING = re.compile(r"[\[{]")
# A whole list of whole numbers at once: boxes and points are most of an answer. Possessive, so always linear.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14}+)")
_INTEGERS = re.compile(rf"\[{_INTEGER.pattern}(?:, ?{_INTEGER.pattern})*+\]")
_DECODER = json.JSONDecoder()
_SCALARS = {
    TokenKind.STRING: Kind.STRING,
    TokenKind.NUMBER: Kind.NUMBER,
    TokenKind.LITERAL: Kind.LITERAL,
    TokenKind.WORD: Kind.WORD,
}


def scan(text: str, start: int = 0, stop: int | None = None, strings: Strings = Strings.SHORT) -> Scan:
    """Read all objects and lists in `text[start:stop]`, whatever surrounds or interrupts them.

    >>> [root.kind.value for root in scan('Here: [{"a": 1,}] and {}').roots]
    ['array', 'object']
    """
    return _Scanner(text, start, len(text) if stop is None else stop, strings).run()


class _Scanner:
    def __init__(self, text: str, start: int, stop: int, strings: Strings) -> None:
        self._text, self._position, self._limit, self._strings = text, start, stop, strings
        self._sound_until = start
        self._stack: list[_Open] = []
        self._scan = Scan()

    def run(self) -> Scan:
        while self._position < self._limit:
            if self._stack:
                self._step()
            else:
                self._seek()
        if self._stack:
            self._scan.cut = True
            self._fault(Reason.UNCLOSED, self._stack[0].node.start, self._limit)
        for unfinished in self._stack:
            unfinished.node.cut, unfinished.node.stop = True, self._limit
        return self._scan

    def _seek(self) -> None:
        """Go to the next bracket outside all values; what is passed over is a gap."""
        found = _OPENING.search(self._text, self._position, self._limit)
        opening = found.start() if found else self._limit
        if opening > self._position:
            self._scan.gaps.append((self._position, opening))
        self._position = opening
        if opening < self._limit:
            self._open(self._text[opening], opening)

    def _step(self) -> None:
        token = next_token(
            self._text,
            self._position,
            self._limit,
            strict=self._position < self._sound_until,
            strings=self._strings,
        )
        self._position = token.next
        if token.fault is not None:
            self._fault(token.fault, token.start, token.stop)
        if token.kind is TokenKind.PUNCTUATION:
            self._punctuate(str(token.value), token.start)
        elif token.kind in _SCALARS:
            self._scalar(token)

    def _punctuate(self, sign: str, start: int) -> None:
        if sign in "[{":
            self._open(sign, start)
        elif sign in "]}":
            self._close(Kind.ARRAY if sign == "]" else Kind.OBJECT, start)
        elif sign == ",":
            self._comma(start)
        else:
            self._colon(start)

    def _open(self, sign: str, start: int) -> None:
        if len(self._stack) >= DEEPEST:
            self._fault(Reason.TOO_DEEP, start, self._limit)
            self._position = self._limit
            return
        if start >= self._sound_until and (sign == "{" or not self._stack):
            self._sound_until = self._end_if_sound(start)
        node = Node(Kind.ARRAY if sign == "[" else Kind.OBJECT, start, start)
        self._place(node)
        integers = _INTEGERS.match(self._text, start, self._limit) if sign == "[" else None
        if integers is not None:
            node.stop = self._position = integers.end()
            node.items = [
                Node(Kind.NUMBER, *number.span(), value=int(number[0]))
                for number in _INTEGER.finditer(self._text, start, node.stop)
            ]
            return
        self._stack.append(_Open(node))
        self._position = start + 1

    def _end_if_sound(self, start: int) -> int:
        try:
            stop = _DECODER.raw_decode(self._text, start)[1]
        except (ValueError, RecursionError):
            return start
        return stop if stop <= self._limit else start

    def _place(self, node: Node) -> None:
        """Hang a value where it belongs: in the list or under the key that waits for it."""
        if not self._stack:
            self._scan.roots.append(node)
            return
        top = self._stack[-1]
        if top.node.kind is Kind.ARRAY:
            self._append(top, node)
        elif top.colon and top.key is not None:
            top.node.keys.append(str(top.key.value))
            top.node.items.append(node)
            top.key, top.colon, top.comma = None, False, False
        else:
            self._place_without_key(top, node)

    def _place_without_key(self, top: _Open, node: Node) -> None:
        self._drop_key(top)
        if node.kind is Kind.OBJECT and top.node.items:  # the next object begins: this one lost its brace
            comma = top.comma
            self._pop_unclosed(node.start)
            if self._stack:
                self._stack[-1].comma = comma
            self._place(node)
            return
        self._fault(Reason.JUNK, node.start, node.start + 1)
        top.node.keys.append("")
        top.node.items.append(node)

    def _append(self, top: _Open, node: Node) -> None:
        if top.node.items and not top.comma:
            self._fault(Reason.MISSING_COMMA, top.node.items[-1].stop, node.start)
        top.node.items.append(node)
        top.comma = False

    def _scalar(self, token: Token) -> None:
        top = self._stack[-1]
        if top.node.kind is Kind.OBJECT and not top.colon:
            self._drop_key(top)
            if token.kind not in (TokenKind.STRING, TokenKind.WORD):
                self._fault(Reason.JUNK, token.start, token.stop)
                return
            if top.node.items and not top.comma:
                self._fault(Reason.MISSING_COMMA, top.node.items[-1].stop, token.start)
            top.key = token
            return
        self._place(Node(_SCALARS[token.kind], token.start, token.stop, token.value, cut=token.cut))

    def _comma(self, start: int) -> None:
        top = self._stack[-1]
        self._drop_key(top)
        if top.comma or not top.node.items:
            self._fault(Reason.STRAY_COMMA, start, start + 1)
        top.comma = True

    def _colon(self, start: int) -> None:
        top = self._stack[-1]
        if top.key is not None and not top.colon:
            top.colon = True
        elif not self._is_key_in_a_list(top):
            self._fault(Reason.JUNK, start, start + 1)
        else:  # [1, 2, 3, 4, "label": the list lost its bracket before the key
            key = top.node.items.pop()
            self._pop_unclosed(key.start)
            self._stack[-1].key = Token(TokenKind.STRING, key.start, key.stop, key.stop, key.value)
            self._stack[-1].colon = True

    def _is_key_in_a_list(self, top: _Open) -> bool:
        return (
            top.node.kind is Kind.ARRAY
            and len(top.node.items) > 1
            and top.node.items[-1].kind is Kind.STRING
            and len(self._stack) > 1
            and self._stack[-2].node.kind is Kind.OBJECT
        )

    def _close(self, kind: Kind, start: int) -> None:
        if not any(entry.node.kind is kind for entry in self._stack):
            self._fault(Reason.JUNK, start, start + 1)
            return
        while self._stack[-1].node.kind is not kind:
            self._pop_unclosed(start)
        top = self._stack.pop()
        self._drop_key(top)
        if top.comma and top.node.items:
            self._fault(Reason.STRAY_COMMA, start - 1, start + 1)
        top.node.stop = start + 1

    def _pop_unclosed(self, stop: int) -> None:
        top = self._stack.pop()
        self._drop_key(top)
        top.node.stop = stop
        self._fault(Reason.UNCLOSED, top.node.start, stop)

    def _drop_key(self, top: _Open) -> None:
        """A key without a value says nothing."""
        if top.key is not None:
            self._fault(Reason.JUNK, top.key.start, top.key.stop)
        top.key, top.colon = None, False

    def _fault(self, reason: Reason, start: int, stop: int) -> None:
        self._scan.faults.append(Fault(reason, start, stop))

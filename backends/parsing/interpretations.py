"""Reads the written interpretation out of an answer: eight fields, each a text."""

import re
from collections.abc import Iterator

from annotator.schema import Interpretation, ParseIssue
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Answer, Phase
from backends.parsing.issues import IssueLog, Reason, clean_text
from backends.parsing.json_repair import Kind, Node
from backends.parsing.json_tokens import Strings
from backends.parsing.labels import plain
from backends.parsing.window import Reading, read

MOST_FIELD_CHARS = 4000
FEWEST_ROUNDS = 6
_FIELDS = {plain(field): field for field in INTERPRETATION_FIELDS}
_LATIN = re.compile(r"[A-Za-z\u00aa-\u024f]")


def parse_interpretation(answer: Answer) -> tuple[Interpretation | None, tuple[ParseIssue, ...]]:
    """Return the interpretation, a field empty where the model left it out; None where no field can be read.

    A sentence that was cut off is left out whole: its end may turn its meaning round. Lists and objects inside a
    field become one text, their items parted by semicolons. Two objects whose fields differ are put together.
    """
    log = IssueLog(Phase.INTERPRET.value, answer.text)
    reading = read(answer, log, Strings.LONG)
    if reading is None:
        return None, log.issues()
    if not reading.scan.roots:
        log.add(Reason.NO_JSON, reading.start, reading.stop)
        return None, log.issues()
    fields: dict[str, str] = {}
    for node in _objects(reading):
        _read_fields(node, fields, log)
    if not fields:
        log.add(Reason.FIELD_MISSING, reading.start, reading.stop)
        return None, log.issues()
    for field in INTERPRETATION_FIELDS:
        if field not in fields:
            log.add_text(Reason.FIELD_MISSING, field)
    return Interpretation(**fields), log.issues()


def _objects(reading: Reading) -> Iterator[Node]:
    """The objects that hold a field, outermost first; other values are noted where no field is within them."""
    log = reading.log
    roots = reading.scan.roots
    if len(roots) > 1:
        log.add(Reason.SEVERAL_VALUES, roots[0].start, roots[-1].stop)
    waiting = [(root, 0, False) for root in reversed(roots)]
    while waiting:
        node, depth, in_list = waiting.pop()
        if any(plain(key) in _FIELDS for key in node.keys):
            if depth:
                log.add(Reason.LIST_FOR_OBJECT if in_list else Reason.WRAPPED, node.start, node.stop)
            yield node
            continue
        inner = [item for item in node.items if item.kind in (Kind.OBJECT, Kind.ARRAY)]
        if not inner:
            log.add(Reason.NOT_A_FINDING, node.start, node.stop)
        waiting += [(item, depth + 1, node.kind is Kind.ARRAY) for item in reversed(inner)]


def _read_fields(node: Node, fields: dict[str, str], log: IssueLog) -> None:
    for key, value in node.pairs():
        field = _FIELDS.get(plain(key))
        if field is None:
            log.add_text(Reason.UNASKED_KEY, f"{key}: {_flat_text(value)}")
            continue
        if key != field:
            log.add_text(Reason.KEY_VARIANT, key)
        text = _field_text(value, log)
        if text is not None and fields.setdefault(field, text) != text:
            log.add(Reason.DUPLICATE_KEY, value.start, value.stop)


def _field_text(value: Node, log: IssueLog) -> str | None:
    if value.cut:
        log.add(Reason.FIELD_CUT, value.start, value.stop)
        return None
    if value.kind is Kind.LITERAL and value.value is None:
        log.add(Reason.FIELD_NULL, value.start, value.stop)
        return ""
    if value.kind is not Kind.STRING:
        log.add(Reason.FLATTENED, value.start, value.stop)
    text = _flat_text(value)
    safe = clean_text(text)
    if safe != text:
        log.add_text(Reason.UNSAFE_CHARACTERS, text)
    return _bounded(_without_rounds(safe, log), log)


def _bounded(text: str, log: IssueLog) -> str:
    if len(text) > MOST_FIELD_CHARS:
        log.add_text(Reason.TOO_LONG, text[MOST_FIELD_CHARS:])
        text = text[:MOST_FIELD_CHARS]
    letters = [sign for sign in text if sign.isalpha()]
    if len(letters) > 2 * sum(1 for sign in letters if _LATIN.match(sign)):
        log.add_text(Reason.FOREIGN_SCRIPT, text)
    return text.strip()


def _without_rounds(text: str, log: IssueLog) -> str:
    """Cut the tail of a text in which the model said one thing over and over down to a single round."""
    for period in range(3, min(200, len(text) // FEWEST_ROUNDS) + 1):
        round_ = text[-period:]
        if not text.endswith(round_ * FEWEST_ROUNDS):
            continue
        kept = len(text)
        while kept >= 2 * period and text[kept - 2 * period : kept - period] == round_:
            kept -= period
        log.add_text(Reason.REPEATED, f"{(len(text) - kept) // period + 1} times: {round_}")
        return text[:kept]
    return text


def _flat_text(node: Node, name: str = "") -> str:
    """All scalars of a value as one text, each behind its key; no deeper than the reader of JSON lets it be."""
    if node.kind is Kind.OBJECT:
        inner = "; ".join(_flat_text(value, key) for key, value in node.pairs())
    elif node.kind is Kind.ARRAY:
        inner = "; ".join(_flat_text(item) for item in node.items)
    elif node.kind is Kind.LITERAL:
        inner = {None: "none", True: "yes", False: "no"}[node.value]  # type: ignore[index]
    else:
        inner = str(node.value)
    return f"{name}: {inner}" if name else inner

"""Finds the part of a model's text that is its answer: without its thoughts, other turns, fences and chatter."""

import re
from dataclasses import dataclass

from backends.engine import Answer, Finish
from backends.parsing.issues import IssueLog, Reason
from backends.parsing.json_repair import Scan, scan
from backends.parsing.json_tokens import Strings

MOST_CHARS = 100_000
_ROLE = r"(?:assistant|user|system)"
_MARKER = re.compile(
    rf"<\|(?:im_start|im_end|endoftext|eot_id|end)\|>(?:{_ROLE}\b)?|</s>|<end_of_turn>"
    rf"|(?:^|(?<=[\]}}`\"]))[ \t]*{_ROLE}[ \t]*:?[ \t]*(?:$|(?=[\[{{]))",
    re.MULTILINE,
)
_FENCE = re.compile(r"```[ \t]*[A-Za-z0-9]*")
_OPEN_THOUGHT, _CLOSED_THOUGHT = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer, read: its values, its log, and the span of its text that counts."""

    answer: Answer
    scan: Scan
    log: IssueLog
    start: int
    stop: int

    @property
    def counted_text(self) -> str:
        """The part of the text that counts as the answer."""
        return self.answer.text[self.start : self.stop]


def read(answer: Answer, log: IssueLog, strings: Strings) -> Reading | None:
    """Find and scan the answer in a text, noting all that is left out or repaired; None where there is none."""
    if answer.error is not None or answer.finish is Finish.ERROR:
        log.add_text(Reason.ERROR, answer.error or "the model gave no answer and no reason")
        return None
    if answer.finish is Finish.LENGTH:
        log.add_text(Reason.TRUNCATED, answer.text[-80:])
    if not answer.text.strip():
        log.add_text(Reason.EMPTY, "")
        return None
    start, stop = _answer_span(answer.text, log)
    scanned = scan(answer.text[:stop], start, stop, strings)
    _note_gaps(answer.text, scanned, log)
    for fault in scanned.faults:
        if fault.reason is not Reason.UNCLOSED or fault.stop < stop or answer.finish is not Finish.LENGTH:
            log.add(fault.reason, fault.start, fault.stop)
    return Reading(answer, scanned, log, start, stop)


def _answer_span(text: str, log: IssueLog) -> tuple[int, int]:
    """The first turn that answers, without thoughts; later and earlier ones are noted as left out."""
    limit = min(len(text), MOST_CHARS)
    if limit < len(text):
        log.add(Reason.TOO_LONG, limit, len(text))
    turns = _turns(text, limit, log)
    spans = [_without_thoughts(text, start, stop) for start, stop in turns]
    chosen = next((place for place, span in enumerate(spans) if _holds_json(text, *span)), None)
    if chosen is None:
        chosen = next((place for place, span in enumerate(spans) if text[span[0] : span[1]].strip()), 0)
    for place, (start, stop) in enumerate(turns):
        if place != chosen:
            log.add(Reason.OTHER_TURN, start, stop)
    if spans[chosen] != turns[chosen]:
        (start, stop), kept = turns[chosen], spans[chosen]
        log.add(Reason.THINKING, *((start, kept[0]) if kept[0] > start else (kept[1], stop)))
    return spans[chosen]


def _turns(text: str, limit: int, log: IssueLog) -> list[tuple[int, int]]:
    """The parts between turn markers that hold more than white space."""
    edges = [0]
    for marker in _MARKER.finditer(text, 0, limit):
        edges += marker.span()
        log.add(Reason.TURN_MARKER, *marker.span())
    edges.append(limit)
    parts = list(zip(edges[::2], edges[1::2], strict=True))
    return [part for part in parts if text[part[0] : part[1]].strip()] or [(limit, limit)]


def _without_thoughts(text: str, start: int, stop: int) -> tuple[int, int]:
    """What follows the last thought; all is thought where one was opened and never closed.

    A closing tag alone ends thoughts whose opening stood in the prompt, unless nothing at all follows it.
    """
    opened = text.rfind(_OPEN_THOUGHT, start, stop)
    closed = text.rfind(_CLOSED_THOUGHT, start, stop)
    after = start if closed < 0 else closed + len(_CLOSED_THOUGHT)
    if opened > closed:
        return (after, opened) if text[after:opened].strip() else (stop, stop)
    if opened < 0 <= closed and not text[after:stop].strip():
        return start, closed
    return after, stop


def _holds_json(text: str, start: int, stop: int) -> bool:
    return text.find("{", start, stop) >= 0 or text.find("[", start, stop) >= 0


def _note_gaps(text: str, scanned: Scan, log: IssueLog) -> None:
    if not scanned.roots:
        return
    for start, stop in scanned.gaps:
        around = text[start:stop]
        if "```" in around:
            log.add(Reason.CODE_FENCE, start, stop)
            around = _FENCE.sub(" ", around)
        around = around.strip(" \t\r\n")
        if not around.strip(" \t\r\n,;"):
            if around and len(scanned.roots) == 1:
                log.add_text(Reason.STRAY_COMMA, around)
        else:
            log.add_text(Reason.PROSE if any(map(str.isalnum, around)) else Reason.JUNK, around)

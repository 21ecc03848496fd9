"""Why a part of a model's answer could not be used as it stood: the words, the log, excerpts fit to be stored."""

import re
from collections.abc import Iterable
from enum import StrEnum

from annotator.schema import ParseIssue

EXCERPT_CHARS = 200
MOST_ISSUES = 64
# What JSON, PostgreSQL or a terminal cannot bear: controls, lone surrogates, and marks that turn text around.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Reason(StrEnum):
    """The repairs and losses that are told apart. `LOSSES` holds those that cost a finding, field or view."""

    ERROR = "error"
    EMPTY = "empty"
    NO_JSON = "no_json"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    TOO_MANY = "too_many"
    MORE_ISSUES = "more_issues"

    THINKING = "thinking"
    TURN_MARKER = "turn_marker"
    OTHER_TURN = "other_turn"
    CODE_FENCE = "code_fence"
    PROSE = "prose"

    STRAY_COMMA = "stray_comma"
    MISSING_COMMA = "missing_comma"
    QUOTES = "quotes"
    UNQUOTED = "unquoted"
    UNCLOSED_STRING = "unclosed_string"
    UNCLOSED = "unclosed"
    PYTHON_LITERAL = "python_literal"
    COMMENT = "comment"
    ESCAPE = "escape"
    ODD_NUMBER = "odd_number"
    JUNK = "junk"

    OBJECT_FOR_LIST = "object_for_list"
    LIST_FOR_OBJECT = "list_for_object"
    SEVERAL_VALUES = "several_values"
    WRAPPED = "wrapped"
    KEY_VARIANT = "key_variant"
    UNASKED_KEY = "unasked_key"
    DUPLICATE_KEY = "duplicate_key"
    NOT_A_FINDING = "not_a_finding"
    OBJECT_CUT = "object_cut"
    REPEATED = "repeated"

    LABEL_VARIANT = "label_variant"
    LABEL_UNKNOWN = "label_unknown"
    LABEL_NOT_ASKED = "label_not_asked"
    LABEL_MISSING = "label_missing"
    LABEL_MALFORMED = "label_malformed"
    LABEL_UNCLEAR = "label_unclear"
    BARE_LABEL = "bare_label"

    NUMBER_TEXT = "number_text"
    NOT_WHOLE = "not_whole"
    NOT_A_NUMBER = "not_a_number"
    FRACTIONS = "fractions"
    CLIPPED = "clipped"
    FAR_OUTSIDE = "far_outside"
    BOX_FORM = "box_form"
    BOX_MISSING = "box_missing"
    BOX_MALFORMED = "box_malformed"
    BOX_REORDERED = "box_reordered"
    BOX_EMPTY = "box_empty"
    BOX_FROM_MASK = "box_from_mask"
    BOX_FROM_POINTS = "box_from_points"
    POINTS_FORM = "points_form"
    POINTS_MALFORMED = "points_malformed"
    POINTS_FEW = "points_few"
    POINTS_BEYOND_BOX = "points_beyond_box"
    SEVERAL_OUTLINES = "several_outlines"
    OUTLINE_REPAIRED = "outline_repaired"
    OUTLINE_CROSSING = "outline_crossing"
    MASK_MISSING = "mask_missing"
    MASK_EMPTY = "mask_empty"
    POINTS_OUTSIDE_BOX = "points_outside_box"
    KEYPOINTS_MISSING = "keypoints_missing"
    KEYPOINTS_COUNT = "keypoints_count"
    KEYPOINTS_ABSENT = "keypoints_absent"
    KEYPOINTS_UNNAMED = "keypoints_unnamed"
    VISIBILITY = "visibility"
    VISIBILITY_MISSING = "visibility_missing"

    FIELD_MISSING = "field_missing"
    FIELD_CUT = "field_cut"
    FIELD_NULL = "field_null"
    FLATTENED = "flattened"
    FOREIGN_SCRIPT = "foreign_script"
    UNSAFE_CHARACTERS = "unsafe_characters"


LOSSES = frozenset(
    {
        Reason.ERROR,
        Reason.EMPTY,
        Reason.NO_JSON,
        Reason.TRUNCATED,
        Reason.TOO_LONG,
        Reason.TOO_DEEP,
        Reason.TOO_MANY,
        Reason.MORE_ISSUES,
        Reason.OTHER_TURN,
        Reason.DUPLICATE_KEY,
        Reason.NOT_A_FINDING,
        Reason.OBJECT_CUT,
        Reason.LABEL_UNKNOWN,
        Reason.LABEL_NOT_ASKED,
        Reason.LABEL_MISSING,
        Reason.LABEL_MALFORMED,
        Reason.LABEL_UNCLEAR,
        Reason.NOT_A_NUMBER,
        Reason.FRACTIONS,
        Reason.FAR_OUTSIDE,
        Reason.BOX_MISSING,
        Reason.BOX_MALFORMED,
        Reason.BOX_EMPTY,
        Reason.POINTS_MALFORMED,
        Reason.POINTS_FEW,
        Reason.SEVERAL_OUTLINES,
        Reason.OUTLINE_CROSSING,
        Reason.MASK_MISSING,
        Reason.MASK_EMPTY,
        Reason.POINTS_OUTSIDE_BOX,
        Reason.KEYPOINTS_MISSING,
        Reason.KEYPOINTS_COUNT,
        Reason.KEYPOINTS_ABSENT,
        Reason.KEYPOINTS_UNNAMED,
        Reason.VISIBILITY,
        Reason.FIELD_MISSING,
        Reason.FIELD_CUT,
        Reason.FIELD_NULL,
    }
)


class RejectedError(ValueError):
    """A part of an answer is not used; `reason` says why. It never leaves the parser."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def clean_text(text: str) -> str:
    r"""Replace what cannot be stored or would mislead on a screen by U+FFFD.

    >>> clean_text("a\ud800b\x00")
    'a�b�'
    """
    return _UNSAFE.sub("\ufffd", text)


def excerpt_of(text: str) -> str:
    """Return the beginning of a text, at most `EXCERPT_CHARS`, fit to be stored."""
    return clean_text(text[:EXCERPT_CHARS])


class IssueLog:
    """Collects the issues of one answer.

    Repairs of one kind are one issue that says how many they were; each loss stands for itself, up to a bound that
    is itself reported.
    """

    def __init__(self, phase: str, text: str) -> None:
        self._phase = phase
        self._text = text
        self._entries: list[tuple[Reason, str]] = []
        self._repairs: dict[Reason, tuple[int, int]] = {}  # reason -> place in entries, count
        self._left_out = 0

    def add(self, reason: Reason, start: int, stop: int) -> None:
        """Note an issue about `text[start:stop]`."""
        self.add_text(reason, self._text[start : min(stop, start + EXCERPT_CHARS)])

    def add_text(self, reason: Reason, text: str) -> None:
        """Note an issue with an excerpt of its own."""
        if reason not in LOSSES and reason in self._repairs:
            place, count = self._repairs[reason]
            self._repairs[reason] = (place, count + 1)
        elif len(self._entries) >= MOST_ISSUES and reason in LOSSES:
            self._left_out += 1
        else:
            if reason not in LOSSES:
                self._repairs[reason] = (len(self._entries), 1)
            self._entries.append((reason, excerpt_of(text)))

    def add_repeated(self, count: int, start: int, stop: int) -> None:
        """Note that `text[start:stop]` was said `count` times in all."""
        text = self._text[start : min(stop, start + EXCERPT_CHARS)]
        self._entries.append((Reason.REPEATED, excerpt_of(f"{count} times: {text}")))

    def issues(self) -> tuple[ParseIssue, ...]:
        """Return what was noted, in the order in which it was met."""
        counts = {place: count for place, count in self._repairs.values() if count > 1}
        return tuple(self._rendered(counts))

    def _rendered(self, counts: dict[int, int]) -> Iterable[ParseIssue]:
        for place, (reason, excerpt) in enumerate(self._entries):
            if place in counts:
                excerpt = f"{counts[place]} times: {excerpt}"[:EXCERPT_CHARS]
            yield ParseIssue(phase=self._phase, reason=reason.value, excerpt=excerpt)
        if self._left_out:
            more = f"{self._left_out} more issues are left out"
            yield ParseIssue(phase=self._phase, reason=Reason.MORE_ISSUES.value, excerpt=more)

"""Gestational ages in free text: '24 weeks 3 days', '24+3', '22-24 weeks', 'second trimester', and their like.

A claim is a span. 24 weeks mean 24+0 to 24+6; a decimal means its rounding; 'about' adds a week to either side, a
stated tolerance adds itself, and several ages in one text span from the least to the greatest, so that a reader is
troubled only where none of them can hold.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial

from annotator.biometry.records import AgeClaim

_ONES = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
_TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_UNITS = _ONES + _TEENS
_TENS = {"twenty": 20, "thirty": 30, "forty": 40}
_WORDS = re.compile(rf"\b({'|'.join(_TENS)})(?:[\s-]+({'|'.join(_UNITS[1:10])}))?\b|\b({'|'.join(_UNITS)})\b")

_W, _D = r"(?:weeks?|wks?|w)", r"(?:days?|d)"
_WEEKS = rf"(?:\s*-?\s*(?:completed\s+)?{_W}\b)"
_NUMBER = r"(?<![\d.+/])(\d{1,2}(?:\.\d+)?)"
_TOLERANCE = re.compile(rf"(?:±|\+\s*/\s*-|\bplus or minus)\s*(\d+(?:\.\d+)?)\s*({_W}|{_D})\b")
_INTERVAL = re.compile(rf"\b(?:in|within|every|next)\s+\d+(?:\s*-\s*\d+)?{_WEEKS}(?!\s+(?:of\s+)?gest)")
_EXACT = re.compile(
    rf"(?<![\d.+/])(\d{{1,2}})\s*(?:\+\s*([0-6])(?![\d.])(?:\s*/\s*7)?|{_W}\s*(?:,|and|\+|-)?\s*([0-6])\s*{_D}\b"
    rf"|\s([0-6])\s*/\s*7)(?:\s*{_W}\b)?"
)
_RANGE = re.compile(
    rf"{_NUMBER}(?:{_WEEKS})?\s*(?:-|to|and|or)\s*(\d{{1,2}}(?:\.\d+)?){_WEEKS}"
    rf"|\bweeks\s+(\d{{1,2}})\s*(?:-|to|and|or)\s*(\d{{1,2}})\b"
)
_LEAST, _MOST = (
    r"at least|more than|greater than|over|beyond|after|>=?|≥",
    r"at most|less than|under|before|up to|<=?|≤",
)
_SINGLE = re.compile(rf"(?:({_LEAST})|({_MOST}))?\s*{_NUMBER}{_WEEKS}")
_NTH = re.compile(r"\bweek\s+(\d{1,2})\b|(?<!\d)(\d{1,2})(?:st|nd|rd|th)\s+week\b")
_DAYS = re.compile(r"(?<!\d)(\d{2,3})\s*days?\b")
_TRIMESTER = re.compile(
    r"\b(first|1st|second|2nd|mid|third|3rd)(?=[^.;]{0,25}\btrimesters?\b)|\btrimester\s+([123])\b"
)
_TERM = re.compile(r"\b(?:at|full|near)[\s-]+term\b")
_TRIMESTERS = {"f": (0.0, 14.0), "1": (0.0, 14.0), "s": (14.0, 28.0), "2": (14.0, 28.0), "m": (14.0, 28.0)}
_THIRD_TRIMESTER, _AT_TERM = (28.0, 42.0), (37.0, 42.0)

_NO_CLAIM = re.compile(
    r"\b(?:cannot|can not|can't|could not|unable|impossible|undetermined|indeterminate|unknown|insufficient"
    r"|not (?:be )?(?:possible|determined|assessed|estimated|stated|available|provided|given|specified))\b"
)
_CLAUSES = re.compile(r"[.;!?](?:\s|$)|,?\s(?:but|however|although)\b")
_ABOUT = re.compile(r"\b(?:about|approximate(?:ly)?|approx|around|roughly|circa|nearly|estimated at)\b|~|≈")
_EARLIEST_WEEK, _LATEST_WEEK = 3.0, 46.0
_DAY = 1 / 7

Span = tuple[float, float]


def stated_age(text: str) -> AgeClaim | None:
    """Read the age that a text states; None where it states none, or says that it cannot be told.

    >>> stated_age("Approximately twenty weeks.").model_dump()
    {'low_weeks': 19.0, 'high_weeks': 22.0, 'words': 'Approximately twenty weeks.'}
    """
    clauses = [clause for clause in _CLAUSES.split(_plain(text)) if not _NO_CLAIM.search(clause)]
    spans = [span for clause in clauses for span in _numbered(clause)]
    if not spans:  # a trimester says less than a number beside it
        spans = [span for clause in clauses for span in _periods(clause)]
    if not spans:
        return None
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    return AgeClaim(low_weeks=max(0.0, low), high_weeks=high, words=text.strip()[:200])


def _plain(text: str) -> str:
    """Lower case, plain hyphens, digits for number words."""
    folded = unicodedata.normalize("NFKC", text[:5000].replace("½", ".5"))

    def digits(match: re.Match[str]) -> str:
        tens, unit, alone = match.groups()
        return str(_UNITS.index(alone) if alone else _TENS[tens] + (_UNITS.index(unit) if unit else 0))

    return _WORDS.sub(digits, re.sub("[\u2010-\u2015\u2212]", "-", folded).lower())


def _numbered(clause: str) -> list[Span]:
    margin = 1.0 if _ABOUT.search(clause) else 0.0
    for amount, unit in _TOLERANCE.findall(clause):
        margin = max(margin, float(amount) * (1.0 if unit.startswith("w") else _DAY))
    rest = _TOLERANCE.sub(lambda match: " weeks " if match[2].startswith("w") else " ", clause)
    rest = _INTERVAL.sub(" ", rest)
    spans: list[Span] = []
    for pattern, reader in _READERS:
        rest = pattern.sub(partial(_take, reader, spans), rest)
    return [(low - margin, high + margin) for low, high in spans]


def _take(reader: Callable[[re.Match[str]], Span], spans: list[Span], match: re.Match[str]) -> str:
    """Keep a plausible span and blank its words; leave the words of any other to the next pattern."""
    low, high = reader(match)
    if low >= _LATEST_WEEK or not _EARLIEST_WEEK < high <= _LATEST_WEEK:
        return match[0]
    spans.append((low, high))
    return " "


def _exact(match: re.Match[str]) -> Span:
    days = next(group for group in match.groups()[1:] if group is not None)
    age = float(match[1]) + float(days) * _DAY
    return age, age + _DAY


def _range(match: re.Match[str]) -> Span:
    first, second = (group for group in match.groups() if group is not None)
    low, high = sorted((first, second), key=float)
    return _rounding(low)[0], _rounding(high)[1]


def _single(match: re.Match[str]) -> Span:
    least, most, number = match.groups()
    low, high = _rounding(number)
    return (0.0 if most else low), (_LATEST_WEEK if least else high)


def _rounding(number: str) -> Span:
    """24 stands for 24+0 to 24+6, 24.5 for what rounds to it."""
    if "." not in number:
        return float(number), float(number) + 1
    half = 0.5 * 10.0 ** -len(number.partition(".")[2])
    return float(number) - half, float(number) + half


def _nth(match: re.Match[str]) -> Span:
    """Week 24 is 24+0 to 24+6 to some, and the 24th week, 23+0 to 23+6, to others."""
    week = float(match[1] or match[2])
    return week - 1, week + 1


def _in_days(match: re.Match[str]) -> Span:
    return float(match[1]) * _DAY, (float(match[1]) + 1) * _DAY


def _periods(clause: str) -> Iterator[Span]:
    for match in _TRIMESTER.finditer(clause):
        yield _TRIMESTERS.get((match[1] or match[2])[0], _THIRD_TRIMESTER)
    if _TERM.search(clause):
        yield _AT_TERM


_READERS = (
    (_EXACT, _exact),
    (_RANGE, _range),
    (_SINGLE, _single),
    (_NTH, _nth),
    (_DAYS, _in_days),
)

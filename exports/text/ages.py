"""Gestational ages by bins, and measured values by name and size whatever their unit."""

import re
from functools import lru_cache

from annotator.biometry import stated_age
from exports.text.concepts import MEASURE_NAMES, read_words
from exports.text.overlap import f1

BIN_STARTS_WEEKS = (8, 13, 15, 20, 25, 30, 35, 38)
"""Lower ends of the tracker's bins; what is earlier counts in the first, 38 and later in the last."""

# 'Second trimester' is 14 weeks wide: it names no bin.
_WIDEST_CLAIM_WEEKS = 8.0
_OPEN_END = re.compile(r"(?<![\d.])(\d{1,2})\s*\+\s*(?:weeks?|wks?|w)\b", re.I)
_MM_PER_UNIT = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0}
_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)(mm|cm)?")
# Rounding to whole millimetres on one side, or two per cent on large sizes: still the same measurement.
_SAME_MM, _SAME_SHARE = 0.5, 0.02
_FARTHEST_VALUE = 8


@lru_cache(maxsize=65536)
def age_bin(text: str) -> int | None:
    """The bin of the age that a text states, by the middle of its span; None where it states none or a vague one.

    >>> [age_bin(text) for text in ("22-26 weeks", "13-15 weeks", "38+ weeks", "20w3d", "second trimester")]
    [3, 1, 7, 3, None]
    """
    open_end = _OPEN_END.search(text)
    if open_end is not None:
        return _bin(float(open_end[1]))
    claim = stated_age(text)
    if claim is None or claim.high_weeks - claim.low_weeks > _WIDEST_CLAIM_WEEKS:
        return None
    return _bin((claim.low_weeks + claim.high_weeks) / 2)


def _bin(weeks: float) -> int:
    return max(0, sum(weeks >= start for start in BIN_STARTS_WEEKS) - 1)


def score_age(answer: str, reference: str) -> float:
    """1 the same bin, .5 adjacent bins; where the reference states no age, 1 for an answer that states none.

    >>> score_age("about 24 weeks", "20-25 weeks"), score_age("26 weeks", "20-25 weeks"), score_age("35w", "20w")
    (1.0, 0.5, 0.0)
    """
    said, meant = age_bin(answer), age_bin(reference)
    if said is None or meant is None:
        return float(said is meant)
    return max(0.0, 1 - 0.5 * abs(said - meant))


@lru_cache(maxsize=65536)
def measured_mm(text: str) -> tuple[tuple[str, float], ...]:
    """Measures with their sizes in mm; a size without a unit is left out, for it cannot be compared.

    >>> measured_mm("BPD 4.5 cm, femur length: 31mm, HC 160")
    (('BPD', 45.0), ('FL', 31.0))
    """
    words, _ = read_words(text)
    matches = list(MEASURE_NAMES.search(words))
    found = []
    for place, match in enumerate(matches):
        stop = matches[place + 1].start if place + 1 < len(matches) else len(words)
        size = _first_size(words[match.stop : min(stop, match.stop + _FARTHEST_VALUE)])
        if size is not None:
            found.append((match.meanings[0], size))
    return tuple(dict.fromkeys(found))


def _first_size(words: tuple[str, ...]) -> float | None:
    for place, word in enumerate(words):
        match = _SIZE.fullmatch(word)
        if match is None:
            continue
        unit = match[2] or (words[place + 1] if place + 1 < len(words) else "")
        if unit in _MM_PER_UNIT:
            return float(match[1].replace(",", ".")) * _MM_PER_UNIT[unit]
    return None


def values_f1(answer: str, reference: str) -> float | None:
    """F1 of measured values: the same measure within 0.5 mm or 2 %; None where the reference measures nothing.

    >>> values_f1("BPD 4.5 cm", "BPD 45 mm, HC 160 mm"), values_f1("BPD 45", "BPD 45 mm"), values_f1("", "normal")
    (0.6666666666666666, 0.0, None)
    """
    meant = measured_mm(reference)
    if not meant:
        return None
    left, shared = list(meant), 0
    said = measured_mm(answer)
    for name, size in said:
        near = [one for one in left if one[0] == name and abs(one[1] - size) <= _tolerance(one[1])]
        if near:
            left.remove(min(near, key=lambda one: abs(one[1] - size)))
            shared += 1
    return f1(shared, len(said), len(meant))


def _tolerance(size_mm: float) -> float:
    return max(_SAME_MM, _SAME_SHARE * size_mm)

"""The text of single fields as values. 0 stands for 'not gradable' among grades, NaN for an empty field."""

import math
import re
import unicodedata

EMPTY = float("nan")
NOT_GRADABLE = frozenset({"ng", "not gradable", "not_gradable", "not-gradable", "ungradable"})
_GRADES = {"1": 1.0, "2": 2.0, "3": 3.0, "1.0": 1.0, "2.0": 2.0, "3.0": 3.0}
_FLAGS = {"1": 1.0, "true": 1.0, "yes": 1.0, "y": 1.0, "0": 0.0, "false": 0.0, "no": 0.0, "n": 0.0}
_BLANK = frozenset({"", "na", "nan", "none", "null"})
_QUOTED_FORMULA = re.compile(r"^'(?=[=+\-@\t\r])")


def clean_text(value: object) -> str:
    """Strip a field, take away the apostrophe that guards a formula, and replace control characters.

    >>> clean_text("  '=1+1 "), clean_text("a\\x00b")
    ('=1+1', 'a\\ufffdb')
    """
    text = _QUOTED_FORMULA.sub("", str(value).strip())
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(sign) in ("Cc", "Cs", "Cn") and sign not in "\n\t" else sign
        for sign in text
    )


def parse_grade(text: str) -> float:
    """Read 1, 2, 3 or NG; ValueError says what is allowed.

    >>> parse_grade("NG"), parse_grade("2.0")
    (0.0, 2.0)
    """
    if text.lower() in _BLANK:
        return EMPTY
    if text.lower() in NOT_GRADABLE:
        return 0.0
    if text not in _GRADES:
        raise ValueError("is not a grade; use 1, 2, 3 or NG (not gradable)")
    return _GRADES[text]


def parse_number(text: str) -> float:
    """Read a finite number; an empty field is NaN."""
    if text.lower() in _BLANK:
        return EMPTY
    try:
        value = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def parse_flag(text: str) -> float:
    """Read yes or no; an empty field is NaN."""
    if text.lower() in _BLANK:
        return EMPTY
    known = _FLAGS.get(text.lower().removesuffix(".0"))
    if known is None:
        raise ValueError("is neither yes nor no (1 or 0)")
    return known


def parse_whole(text: str) -> float:
    """Read a whole number from 0, or yes and no; an empty field is NaN."""
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    value = parse_number(text)
    if value != value or (value >= 0 and value == int(value)):
        return value
    raise ValueError("is not a whole number from 0 up")

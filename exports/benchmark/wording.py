"""Figures as a report prints them."""

from typing import Any

DASH, MINUS = "–", "−"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a proper minus sign; a dash where there is none.

    >>> number(-0.1234), number(None), number(1234.5, 0)
    ('−0.123', '–', '1,234')
    """
    if value is None:
        return DASH
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.removeprefix("-")


def interval(figure: dict[str, Any] | None, digits: int = 3) -> str:
    """The 95% interval; empty where there is none."""
    if not figure or not figure.get("ci95"):
        return ""
    low, high = (number(edge, digits) for edge in figure["ci95"])
    return f"{low} to {high}" if MINUS in low + high else f"{low}{DASH}{high}"


def with_interval(figure: dict[str, Any] | None, digits: int = 3) -> str:
    """A value, its interval and n on one line.

    >>> with_interval({"value": 0.5, "ci95": [0.25, 0.75], "n": 20}, 2)
    '0.50 (0.25–0.75), n = 20'
    """
    if not figure or figure.get("value") is None:
        return DASH
    brackets = f" ({interval(figure, digits)})" if figure.get("ci95") else ""
    count = f", n = {figure['n']:,}" if "n" in figure else ""
    return f"{number(figure['value'], digits)}{brackets}{count}"


def seconds(value: float | None) -> str:
    """Seconds, finer where they are few.

    >>> seconds(0.0123), seconds(4.53), seconds(171.4), seconds(None)
    ('0.012 s', '4.5 s', '171 s', '–')
    """
    if value is None:
        return DASH
    return f"{value:,.{3 if value < 1 else 1 if value < 100 else 0}f} s"


def p_value(figure: dict[str, Any]) -> str:
    """A p value as journals print it; a dash where there is none."""
    p = figure.get("p")
    return DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def counted(count: int, noun: str) -> str:
    """A count and its noun.

    >>> counted(1, "frame"), counted(20, "model")
    ('1 frame', '20 models')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def memory(mib: int | None) -> str:
    """MiB, or GiB from one upward.

    >>> memory(640), memory(4311), memory(None)
    ('640 MiB', '4.2 GiB', '–')
    """
    if mib is None:
        return DASH
    return f"{mib} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"

"""Figures as a journal prints them, and the sentences that are made of them."""

from typing import Any

Document = dict[str, Any]
DASH = "–"
MINUS = "−"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a proper minus sign; a dash where there is none.

    >>> number(-0.1234), number(None)
    ('−0.12', '–')
    """
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.removeprefix("-")


def interval(figure: dict[str, Any], digits: int = 2, scale: float = 1) -> str:
    """The 95% interval in words: with a dash, or with "to" where a minus sign stands in it."""
    if not figure or not figure.get("ci95"):
        return DASH
    low, high = (number(edge * scale, digits) for edge in figure["ci95"])
    return f"{low} to {high}" if MINUS in low + high else f"{low}{DASH}{high}"


def with_interval(figure: dict[str, Any], digits: int = 2, scale: float = 1) -> str:
    """A value and its interval, such as 1.29 (1.16–1.45)."""
    if not figure or figure.get("value") is None:
        return DASH
    value = number(figure["value"] * scale, digits)
    return f"{value} ({interval(figure, digits, scale)})" if figure.get("ci95") else value


def percent(figure: dict[str, Any]) -> str:
    """A share and its interval in percent."""
    return with_interval(figure, 1, 100)


def p_value(p: float | None) -> str:
    """A p value as journals print it.

    >>> p_value(0.0004), p_value(0.0312)
    ('<0.001', '0.031')
    """
    if p is None:
        return DASH
    return "<0.001" if p < 0.001 else f"{min(p, 1.0):.3f}"


def p_and_holm(test: dict[str, Any]) -> str:
    """A test's p value, and Holm's in brackets."""
    return f"{p_value(test['p'])} ({p_value(test['p_holm'])})"


def joined(names: list[str]) -> str:
    """Names in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "frame"), counted(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def key_figures(document: Document) -> list[dict[str, str]]:
    """The three or four figures that a referee looks for first."""
    cards = [_best(document), _versions(document), _agreement(document), _modes(document)]
    return [card for card in cards if card]


def _card(label: str, value: str, detail: str) -> dict[str, str]:
    return {"label": label, "value": value, "detail": detail}


def _best(document: Document) -> dict[str, str] | None:
    overall = [cell for cell in document["overall"] if cell["mean"]["value"] is not None]
    single = [cell for cell in document["grades"] if cell["mean"]["value"] is not None]
    if not single:
        return _card("Mean grade", DASH, "nothing could be graded")
    best = min(overall or single, key=lambda cell: cell["mean"]["value"])
    what = "overall" if overall else best["dimension"]
    label = "Mean grade" if len(overall or single) == 1 else "Lowest mean grade"
    detail = f"{what}, {best['version']}, {best['mode']}; 1 is best; n = {best['mean']['n']:,} grades"
    return _card(label, with_interval(best["mean"]), detail)


def _versions(document: Document) -> dict[str, str] | None:
    pairs = [pair for pair in document["versions"]["pairs"] if "wilcoxon" in pair]
    if not pairs:
        cells = [cell for cell in document["grades"] if cell["shares"]]
        if not cells:
            return None
        cell = cells[0]
        return _card(
            "Acceptable as it stands",
            f"{percent(cell['shares']['1'])} %",
            f"grade 1, {cell['dimension']}, {cell['mode']}",
        )
    pair = min(pairs, key=lambda pair: (pair["wilcoxon"]["p_holm"], pair["wilcoxon"]["p"]))
    named = f"{pair['first']} minus {pair['second']}, {pair['dimension']}, {pair['mode']}"
    detail = f"{named}; Holm p {p_value(pair['wilcoxon']['p_holm'])}"
    return _card("Clearest difference", with_interval(pair["mean_difference"]), detail)


def _agreement(document: Document) -> dict[str, str]:
    cells = [cell for cell in document["between_readers"]["cells"] if "ac2" in cell and cell["version"] == "all"]
    if not cells:
        return _card("Agreement between readers", DASH, document["between_readers"].get("note", "not computed"))
    cell = cells[0]
    beside = f"raw {number(100 * cell['raw']['value'], 0)} %, alpha {number(cell['alpha_ordinal']['value'])}"
    detail = f"AC2, linear weights; {beside}; {cell['dimension']}, {cell['mode']}"
    return _card("Agreement between readers", with_interval(cell["ac2"]["linear"]), detail)


def _modes(document: Document) -> dict[str, str] | None:
    modes = document["modes"]
    pairs = [pair for pair in modes["pairs"] if "mean_difference" in pair]
    if not pairs:
        return (
            _card("Autonomous minus guided", "not compared", "the modes share no frames")
            if modes.get("refused")
            else None
        )
    pair = pairs[0]
    detail = f"same frames, {pair['dimension']}, {pair['version']}; Holm p {p_value(pair['wilcoxon']['p_holm'])}"
    return _card("Autonomous minus guided", with_interval(pair["mean_difference"]), detail)

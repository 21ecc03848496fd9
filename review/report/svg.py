"""Matplotlib figures as inline SVG: deterministic bytes, text as text, colours that follow the page's theme."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing

# Stand-ins that become CSS variables, so that one drawing is right on white paper and on a dark screen.
INK, FAINT, RULE, PAPER = "#010203", "#040506", "#070809", "#0a0b0c"
_THEME = {INK: "var(--ink)", FAINT: "var(--faint)", RULE: "var(--rule)", PAPER: "var(--paper)"}
# Okabe and Ito's colours, told apart by all common kinds of colour vision; markers differ too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LONGEST_LABEL = 30
# Inches above and below the axes.
ABOVE, ABOVE_WITH_LEGEND, BELOW = 0.26, 0.52, 0.5
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.linewidth": 0.8,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
}


def shortened(text: str) -> str:
    """A label that fits; the tables hold the whole."""
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_LABEL else flat[: LONGEST_LABEL - 1] + "…"


@contextmanager
def drawing(
    inches_wh: tuple[float, float],
    columns: int,
    labels: Sequence[str] = (),
    *,
    legend: bool = False,
    shared: bool = True,
) -> Iterator[tuple[Drawing, list[Axes]]]:
    """A figure of so many inches with axes side by side, and room for the row labels on their left.

    Margins are set by hand: the layout engines of matplotlib draw everything twice to find them.
    """
    width, height = inches_wh
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser has fonts for all scripts
        figure = Drawing(figsize=inches_wh)
        FigureCanvasSVG(figure)
        axes: Any = figure.subplots(1, columns, squeeze=False, sharey=shared, sharex=shared)
        left = 0.3 + 0.078 * max((len(label) for label in labels), default=4)
        figure.subplots_adjust(
            left=left / width,
            right=1 - 0.2 / width,
            bottom=BELOW / height,
            top=1 - (ABOVE_WITH_LEGEND if legend else ABOVE) / height,
            wspace=0.07 if shared else 0.28,
        )
        yield figure, list(axes[0])


def as_svg(figure: Drawing, name: str, description: str) -> str:
    """The inline SVG of a figure; `description` is read aloud in its place."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ((?:bold )?)([\d.]+)px [^;\"]*", r"font: \g<1>\g<2>px var(--sans)", text)
    for stand_in, variable in _THEME.items():
        text = text.replace(stand_in, variable)
    opening, rest = text.split(">", 1)
    sized_by_page = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    return f'{sized_by_page} role="img" aria-label="{escape(description)}">{rest}'

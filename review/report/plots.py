"""The plots of the report: dots with intervals, stacked grades, edit effort by grade."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from review.report.svg import (
    ABOVE,
    ABOVE_WITH_LEGEND,
    BELOW,
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    PAPER,
    RULE,
    as_svg,
    drawing,
    shortened,
)

WIDTH = 10.4
GRADE_COLOURS = ("#2b7a9b", "#e9c46a", "#c8452d")
GRADE_HATCHES = ("", "////", "xxx")
GRADE_NAMES = ("1 acceptable", "2 minor issues", "3 major errors")
MOST_ROWS = 40


@dataclass(frozen=True)
class Dot:
    """A figure to draw: its panel, its row, and the group that gives colour and marker; a heading has no figure."""

    panel: str
    row: str
    group: str = ""
    figure: dict[str, Any] | None = None

    @property
    def value(self) -> float | None:
        """The value, or None for a heading or a figure that could not be computed."""
        return self.figure["value"] if self.figure else None


def dot_plot(name: str, dots: Sequence[Dot], label: str, *, reference: float | None = None) -> str:
    """Dots with 95% intervals, one panel beside the other, one row a label; empty text where there is nothing."""
    known = [dot for dot in dots if dot.figure is None or dot.value is not None]
    drawn = [dot for dot in known if dot.figure is not None]
    if not drawn:
        return ""
    panels, groups = (list(dict.fromkeys(getattr(dot, kind) for dot in drawn)) for kind in ("panel", "group"))
    rows = list(dict.fromkeys(dot.row for dot in known))[:MOST_ROWS]
    headings = {dot.row for dot in known if dot.figure is None}
    several = len(groups) > 1
    height = BELOW + (ABOVE_WITH_LEGEND if several else ABOVE) + len(rows) * max(0.27, 0.14 + 0.14 * len(groups))
    labels = [shortened(row) for row in rows]
    with drawing((WIDTH, height), len(panels), labels, legend=several) as (figure, axes):
        for axis, panel in zip(axes, panels, strict=True):
            _rows_of_dots(axis, [dot for dot in drawn if dot.panel == panel], rows, groups)
            axis.set_title(shortened(panel))
            axis.set_xlabel(label)
            if reference is not None:
                axis.axvline(reference, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        _label_rows(axes[0], rows, headings)
        if several:
            _legend(figure, axes)
        return as_svg(figure, name, f"Dot plot of {label} with 95% intervals; the table beside it has the values")


def _rows_of_dots(axis: Axes, dots: Sequence[Dot], rows: list[str], groups: list[str]) -> None:
    for dot in dots:
        if dot.figure is None or dot.row not in rows:
            continue
        place = groups.index(dot.group)
        y = rows.index(dot.row) + (place - (len(groups) - 1) / 2) * 0.62 / max(len(groups), 2)
        value = dot.figure["value"]
        low, high = dot.figure["ci95"] or (value, value)
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        axis.plot([low, high], [y, y], color=colour, linewidth=1.9, solid_capstyle="butt", zorder=2)
        label = shortened(dot.group)
        axis.plot([value], [y], marker, color=colour, markersize=6, markeredgecolor=PAPER, label=label, zorder=3)
    axis.grid(axis="x", color=RULE, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.locator_params(axis="x", nbins=6)


def _label_rows(axis: Axes, rows: Sequence[str], headings: set[str]) -> None:
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)), [shortened(row) for row in rows])
    for row, text in zip(rows, axis.get_yticklabels(), strict=True):
        if row in headings:
            text.set_fontweight("bold")
    for one in axis.figure.axes:
        one.tick_params(axis="y", length=0)
        one.spines["left"].set_visible(False)


def _legend(figure: Drawing, axes: Sequence[Axes]) -> None:
    known: dict[str, Any] = {}
    for axis in axes:
        handles, names = axis.get_legend_handles_labels()
        known = {**dict(zip(names, handles, strict=True)), **known}
    figure.legend(known.values(), known.keys(), loc="upper right", ncols=len(known), fontsize=9, borderaxespad=0.1)


def stacked_grades(name: str, cells: Sequence[dict[str, Any]]) -> str:
    """Shares of 1, 2 and 3 as bars of one length, a panel for each dimension; hatched and labelled."""
    graded = [cell for cell in cells if cell["shares"]]
    panels = list(dict.fromkeys(cell["dimension"] for cell in graded))
    places = list(dict.fromkeys((cell["mode"], cell["version"]) for cell in graded))[:MOST_ROWS]
    if not places:
        return ""
    rows = [f"{version}, {mode}" for mode, version in places]
    inches_wh = (WIDTH, ABOVE_WITH_LEGEND + BELOW + 0.36 * len(rows))
    with drawing(inches_wh, len(panels), [shortened(row) for row in rows], legend=True) as (figure, axes):
        for axis, panel in zip(axes, panels, strict=True):
            for cell in graded:
                place = (cell["mode"], cell["version"])
                if cell["dimension"] == panel and place in places:
                    _stack(axis, places.index(place), [cell["shares"][grade]["value"] * 100 for grade in "123"])
            axis.set_title(shortened(panel))
            axis.set_xlim(0, 100)
            axis.set_xlabel("share of grades (%)")
        _label_rows(axes[0], rows, set())
        _legend(figure, axes)
        return as_svg(figure, name, "Stacked bars of the shares of grades 1, 2 and 3; the table has the values")


def _stack(axis: Axes, row: int, percents: Sequence[float]) -> None:
    start = 0.0
    for place, percent in enumerate(percents):
        axis.barh(
            row,
            percent,
            left=start,
            height=0.66,
            color=GRADE_COLOURS[place],
            hatch=GRADE_HATCHES[place],
            edgecolor="#ffffff" if place != 1 else "#7a6320",
            linewidth=0,
            label=GRADE_NAMES[place],
        )
        if percent >= 7:
            box = {"facecolor": GRADE_COLOURS[place], "edgecolor": "none", "pad": 1.2}
            ink = "#ffffff" if place != 1 else "#222222"
            axis.text(
                start + percent / 2,
                row,
                f"{percent:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color=ink,
                bbox=box,
            )
        start += percent


def effort_boxes(name: str, panels: Sequence[tuple[str, dict[int, list[float]]]]) -> str:
    """Boxes of edit effort by grade: median, quartiles, whiskers to 5% and 95%."""
    if not panels:
        return ""
    with drawing((WIDTH, 2.9), max(len(panels), 2), shared=False) as (figure, axes):
        for axis, (label, values) in zip(axes, panels, strict=False):
            grades = [grade for grade in (1, 2, 3) if len(values.get(grade, ()))]
            boxes = axis.boxplot(
                [np.asarray(values[grade]) for grade in grades],
                positions=grades,
                widths=0.5,
                whis=(5, 95),
                showfliers=False,
                patch_artist=True,
                medianprops={"color": INK, "linewidth": 1.6},
                whiskerprops={"color": FAINT},
                capprops={"color": FAINT},
            )
            for box, grade in zip(boxes["boxes"], grades, strict=True):
                box.set(
                    facecolor=GRADE_COLOURS[grade - 1], edgecolor=FAINT, hatch=GRADE_HATCHES[grade - 1], alpha=0.85
                )
            axis.set_xticks(grades, [str(grade) for grade in grades])
            axis.set_xlabel("grade")
            axis.set_title(label)
            axis.grid(axis="y", color=RULE, linewidth=0.7)
            axis.set_axisbelow(True)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        return as_svg(figure, name, "Box plots of edit effort by grade")

"""The plot of a simulation: learning curves with the interval of their mean, and gains over stratified random."""

import io
from typing import TYPE_CHECKING

from annotator.selection import Evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart; the baseline is black.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7")


def draw_curves(evidence: Evidence) -> bytes:
    """Return a PNG of two panels; equal evidence gives an equal picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=110, layout="constrained")
    curves, gains = figure.subplots(1, 2, width_ratios=(3, 2))
    names = [curve.strategy for curve in evidence.curves]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    _draw_learning(curves, evidence, colours)
    _draw_gains(gains, evidence, colours)
    seeds = f"{evidence.seeds} seeds, {evidence.test_frames} test frames"
    figure.suptitle(f"{evidence.data}: {seeds}; bands and bars are 95 % intervals", fontsize=11)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _draw_learning(axes: "Axes", evidence: Evidence, colours: dict[str, str]) -> None:
    for curve in evidence.curves:
        is_baseline = curve.strategy == evidence.baseline
        colour, width = colours[curve.strategy], 2.4 if is_baseline else 1.4
        axes.plot(
            curve.labels, curve.mean, color=colour, linewidth=width, marker="o", markersize=3, label=curve.strategy
        )
        axes.fill_between(curve.labels, curve.low, curve.high, color=colour, alpha=0.08, linewidth=0)
    axes.set_xticks(evidence.curves[0].labels)
    axes.set_xlabel("labelled frames")
    axes.set_ylabel(evidence.measure)
    axes.legend(frameon=False, fontsize=8)


def _draw_gains(axes: "Axes", evidence: Evidence, colours: dict[str, str]) -> None:
    ranked = sorted(evidence.strategies, key=lambda one: one.gain)
    for place, one in enumerate(ranked):
        axes.plot(one.gain_interval, (place, place), color=colours[one.strategy], linewidth=2)
        axes.plot(one.gain, place, "o", color=colours[one.strategy], markersize=5)
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.locator_params(axis="x", nbins=5)
    axes.set_yticks(range(len(ranked)), [one.strategy for one in ranked], fontsize=8)
    axes.set_xlabel(f"gain over {evidence.baseline} (AULC, {evidence.measure})")

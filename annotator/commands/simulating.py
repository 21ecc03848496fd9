"""`simulate`: replays a labelled set as a loop, says which strategy saves labels and which the queue will serve."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from annotator.cli import Result
from annotator.commands.simulating_plot import draw_curves
from annotator.commands.workspace import opened, progress, say
from annotator.files import exclusive_lock, write_atomically
from annotator.selection import BASELINE, Evidence, StrategyEvidence
from annotator.selection.evidence import weigh
from annotator.selection.gains import Interval
from annotator.store.learning import add_evidence

if TYPE_CHECKING:
    from backends.training.simulation import SimulationSettings
    from backends.training.simulation.data import LabelledSet

RAW, EVIDENCE, PLOT = "raw.jsonl", "evidence.json", "curves.png"


def simulate(
    workspace: Path,
    data: Path,
    out: Path | None = None,
    seeds: int = 12,
    start: int = 20,
    step: int = 20,
    rounds: int = 3,
    strategies: Sequence[str] = (),
    kind: Literal["masks", "boxes"] | None = None,
) -> Result:
    """Run, or go on with, a simulation on a COCO folder; write raw.jsonl, evidence.json and curves.png into `out`.

    All strategies where none is named; stratified random is always among them. The evidence is kept in the
    workspace, where the queue follows it. InputError where the set cannot be used or `out` holds another one's.
    """
    from backends.training.simulation import SimulationSettings
    from backends.training.simulation.data import load_labelled

    every = SimulationSettings().strategies
    chosen = (BASELINE, *(name for name in strategies if name != BASELINE)) if strategies else every
    settings = SimulationSettings(seeds, start, step, rounds, tuple(dict.fromkeys(chosen)))
    labelled = load_labelled(data, kind)
    folder = out or workspace / "simulations" / labelled.name
    with exclusive_lock(folder / ".lock", f"a simulation into {folder}"):
        evidence = _run(labelled, settings, folder)
        write_atomically(folder / EVIDENCE, (evidence.model_dump_json(indent=1) + "\n").encode())
        write_atomically(folder / PLOT, draw_curves(evidence))
    with opened(workspace) as store:
        add_evidence(store, evidence)
    say(f"{RAW}, {EVIDENCE} and {PLOT} are in {folder}")
    return Result(evidence.model_dump(mode="json"), as_text(evidence))


def as_text(evidence: Evidence) -> str:
    """The table that is printed: one line a strategy, the largest gain first, and what the queue will serve."""
    end = evidence.start + evidence.step * evidence.rounds
    title = (
        f"{evidence.data}: {evidence.measure} on {evidence.test_frames} test frames, {evidence.start} to {end} "
        f"labels by {evidence.step}, {evidence.seeds} paired seeds; against {evidence.baseline}, 95 % intervals"
    )
    heads = ("strategy", "gain (AULC)", "interval", "p", "wins", "labels saved", "interval", "balanced", "interval")
    ranked = sorted(evidence.strategies, key=lambda one: -one.gain)
    rows = [heads, *(_row(one) for one in ranked)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, "", *lines, "", _verdict(evidence)])


def _run(labelled: "LabelledSet", settings: "SimulationSettings", folder: Path) -> Evidence:
    from backends.training.simulation import learner_for, simulate_loop

    learner, raw = learner_for(labelled), folder / RAW
    total = settings.seeds * len(settings.strategies) * (settings.rounds + 1)
    with progress(total, f"simulate {labelled.name}", "training") as bar:
        results = simulate_loop(labelled, learner, settings, raw, lambda done: bar.update(done - bar.n))
    return weigh(
        results,
        data=labelled.name,
        measure=learner.measure,
        start=settings.start,
        step=settings.step,
        test_frames=len(labelled.test),
        raw_sha256=hashlib.sha256(raw.read_bytes()).hexdigest(),
    )


def _row(one: StrategyEvidence) -> tuple[str, ...]:
    return (
        one.strategy,
        f"{one.gain:+.4f}",
        _between(one.gain_interval, ".4f"),
        "<0.001" if one.p < 0.001 else f"{one.p:.3f}",
        f"{one.wins}/{one.seeds}",
        f"{one.labels_saved:+.1f}",
        _between(one.labels_saved_interval, ".1f"),
        f"{one.balanced_gain:+.4f}",
        _between(one.balanced_interval, ".4f"),
    )


def _between(interval: Interval, form: str) -> str:
    return f"[{interval[0]:+{form}}, {interval[1]:+{form}}]"


def _verdict(evidence: Evidence) -> str:
    helping = sum(one.helps for one in evidence.strategies)
    if not helping:
        return f"The queue will serve {BASELINE}: no interval lies above zero."
    many = f" of {helping} whose interval lies above zero" if helping > 1 else ", its interval above zero"
    return f"The queue will serve {evidence.recommended}: the largest gain{many}."

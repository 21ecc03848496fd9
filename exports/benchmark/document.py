"""A comparison as one document: what must be known first, the figures of each run, what differs."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from annotator.schema import utc_now
from exports.benchmark.failures import Failure
from exports.benchmark.records import PLAIN, Plan
from exports.benchmark.runs import Run
from exports.benchmark.scoring import Judged, Scene
from exports.text.report import compare_answers, verdicts
from exports.text.resampling import Figure, Resampler

Document = dict[str, Any]
# Of the verdicts on the eight fields those that the look at all texts does not give.
_ABOUT_FIELDS = ("COLLAPSED on", "NO BETTER THAN A CONSTANT")
USABLE, IN_FORM, SECONDS = (
    "usable answers, share",
    "eight fields as JSON without repair, share",
    "seconds per image",
)


def compare(plan: Plan, runs: Sequence[Run], scenes: Sequence[Scene], *, title: str) -> Document:
    """Return everything that the report says, for machines; every score has its n and 95% interval."""
    known = {scene.frame.frame_id: scene for scene in scenes}
    judged = [Judged(run, plan, known) for run in runs]
    answered = [one for one in judged if one.run.answers]
    rows = [_row(one) for one in judged]
    return {
        "title": title,
        "made": utc_now().date().isoformat(),
        "frames": len(plan.frames),
        "units": len({scene.unit for scene in scenes}),
        "trained_on": sum(scene.is_trained_on for scene in scenes),
        "simulated": sum(scene.frame.simulated for scene in scenes),
        "with_reference": sum(scene.truth is not None for scene in scenes),
        "questions": [asked.model_dump() for asked in plan.questions],
        "sentence": plan.sentence,
        "profile_sha256": plan.profile_sha256,
        "alarms": [*_about_frames(scenes), *(alarm for one in judged for alarm in _alarms(one))],
        "runs": rows,
        "metrics": _metrics(rows),
        "differences": _differences(answered),
        "wordings": _wordings(answered),
    }


def _row(one: Judged) -> Document:
    run, head = one.run, one.run.head
    counts = {kind: sum(found is kind for found in one.failures.values()) for kind in Failure}
    seconds = [value for value in one.seconds if value is not None]
    figures = {USABLE: one.usable, IN_FORM: one.in_form}
    means = {name: one.resampler.mean(column) for name, column in figures.items()}
    return {
        "key": run.key,
        "label": run.label,
        "variant": run.variant,
        "spec": run.spec,
        "version": head.version if head else None,
        "base": head.base if head else None,
        "model_sha256": head.model_sha256 if head else None,
        "provenance": head.provenance if head else {},
        "stopped": _stopped(one),
        "expected": len(one.asked) * len(one.scenes),
        "answers": len(run.answers),
        "failed": len(one.failures),
        "failures": {kind.value: count for kind, count in counts.items() if count},
        "examples": _examples(one),
        "load_seconds": head.load_seconds if head else None,
        "seconds_per_image": one.resampler.mean(one.seconds),
        "median_seconds": median(seconds) if seconds else None,
        "tokens_per_image": one.resampler.mean(one.tokens),
        "tokens_per_second": _rate(one),
        "peak_memory_mib": run.peak_memory_mib,
        "peak_accelerator_mib": run.peak_accelerator_mib,
        "figures": {name: one for name, one in means.items() if one["value"] is not None} | one.figures,
        "evaluation": one.evaluation,
        "remarks": one.sanity.remarks() if one.sanity else [],
    }


def _stopped(one: Judged) -> Document | None:
    if one.stopped_by is None:
        return None
    frames = len({frame_id for frame_id, _ in one.run.answers})
    return {"failure": one.stopped_by[0].value, "reason": one.stopped_by[1], "frames": frames}


def _examples(one: Judged) -> dict[str, str]:
    """The first failed answer of each kind, in a few words."""
    found: dict[str, str] = {}
    for key, kind in one.failures.items():
        line = one.run.answers[key]
        found.setdefault(kind.value, " ".join((line.error or line.text or ", ".join(line.issues)).split())[:160])
    return found


def _rate(one: Judged) -> float | None:
    pairs = [(tokens, s) for tokens, s in zip(one.tokens, one.seconds, strict=True) if tokens is not None and s]
    return sum(tokens for tokens, _ in pairs) / sum(s for _, s in pairs) if pairs else None


def _about_frames(scenes: Sequence[Scene]) -> list[Document]:
    trained = sum(scene.is_trained_on for scene in scenes)
    if not trained:
        return []
    text = f"TRAIN FRAMES: {trained:,} of {len(scenes):,} frames are of the training split; they are not scored"
    return [{"run": None, "text": text}]


def _alarms(one: Judged) -> list[Document]:
    """Whether the model was asked at all, then what forbids to take its scores at face value."""
    lines = []
    if one.stopped_by is not None:
        kind, reason = one.stopped_by
        frames = len({frame_id for frame_id, _ in one.run.answers})
        where = f"after {frames} of {len(one.scenes)} frames" if frames else "before the first frame"
        lines.append(f"STOPPED {where}, {kind.value}: {reason}")
    if one.unanswered:
        listed = ", ".join(f"{phase} on {count:,}" for phase, count in one.unanswered.items())
        lines.append(f"UNANSWERED questions of all phases, by frames: {listed} of {len(one.scenes):,}")
    if one.sanity is not None:
        lines += one.sanity.alarms()
    lines += one.evaluation.get("sanity", {}).get("alarms", [])
    if one.scored is not None:
        lines += [line for line in verdicts(one.scored) if line.startswith(_ABOUT_FIELDS)]
    return [{"run": one.run.key, "text": line} for line in lines]


def _metrics(rows: Sequence[Document]) -> list[Document]:
    names = dict.fromkeys(name for row in rows for name in row["figures"])
    return [{"name": name, "cells": [row["figures"].get(name) for row in rows]} for name in names]


def _differences(judged: Sequence[Judged]) -> list[Document]:
    """Each plain run minus the first one, on the same frames and questions."""
    plain = [one for one in judged if one.run.variant == PLAIN]
    return [_difference(other, plain[0]) for other in plain[1:]]


def _wordings(judged: Sequence[Judged]) -> list[Document]:
    """Each other wording minus the plain one of the same model."""
    plain = {one.run.label: one for one in judged if one.run.variant == PLAIN}
    others = [one for one in judged if one.run.variant != PLAIN and one.run.label in plain]
    return [_difference(one, plain[one.run.label]) for one in others]


def _difference(first: Judged, second: Judged) -> Document:
    columns = {USABLE: (first.usable, second.usable), IN_FORM: (first.in_form, second.in_form)}
    columns[SECONDS] = (first.seconds, second.seconds)
    figures: dict[str, Figure] = {
        name: first.resampler.difference(mine, others) for name, (mine, others) in columns.items()
    }
    for name, mine in first.by_case.items():
        figures[name] = _by_case(first, mine, second.by_case.get(name, {}))
    if first.scored is not None and second.scored is not None:
        paired = compare_answers(first.scored, second.scored).get("figures", {})
        figures |= _named(paired, first)
    return {
        "key": f"{first.run.key} minus {second.run.key}",
        "run": first.run.key,
        "reference": second.run.key,
        "figures": {name: figure for name, figure in figures.items() if figure["value"] is not None},
    }


def _by_case(first: Judged, mine: Mapping[str, float], others: Mapping[str, float]) -> Figure:
    shared = [frame_id for frame_id in mine if frame_id in others]
    if not shared:
        return {"value": None, "n": 0}
    resampler = Resampler([first.cases[frame_id].unit for frame_id in shared])
    return resampler.difference([mine[one] for one in shared], [others[one] for one in shared])


def _named(paired: Mapping[str, Figure], first: Judged) -> dict[str, Figure]:
    """Under the names of the table of metrics, and only what stands there."""
    named = {}
    for name, figure in paired.items():
        for full in (f"field: {name}".replace("_", " "), f"text: {name}"):
            if full in first.figures:
                named[full] = figure
    return named

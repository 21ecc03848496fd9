"""Per image, what every model said, side by side: the part of a report that a person reads."""

from collections.abc import Sequence
from typing import Any

from annotator.taxonomy import INTERPRETATION_FIELDS, view
from exports.benchmark.drawing import shapes
from exports.benchmark.failures import failure_of
from exports.benchmark.records import AnswerLine, Asked, Plan
from exports.benchmark.runs import Run
from exports.benchmark.scoring import Scene, references

Document = dict[str, Any]
LONGEST_SHOWN = 1200
"""Characters of one answer that a page shows; the run files hold all that was kept."""
_EMPTY: Document = {"failure": None, "reason": None, "seconds": None, "text": "", "fields": None, "issues": ()}


def per_image(plan: Plan, runs: Sequence[Run], scenes: Sequence[Scene]) -> list[Document]:
    """Return one entry a frame, with each question's answers in the order of the runs."""
    return [
        {
            "number": number,
            "name": scene.frame.source_file,
            "frame_id": scene.frame.frame_id,
            "picture": scene.picture,
            "width": scene.frame.width,
            "height": scene.frame.height,
            "facts": _facts(scene),
            "simulated": scene.frame.simulated,
            "reference": references(scene.truth),
            "questions": [_question(asked, runs, scene) for asked in plan.questions],
        }
        for number, scene in enumerate(scenes, 1)
    ]


def _facts(scene: Scene) -> list[str]:
    frame, truth = scene.frame, scene.truth
    facts = [f"{frame.width} x {frame.height} px"]
    facts += [frame.source] if frame.source else []
    facts += [f"split {frame.split}"] if frame.split else []
    if truth is not None and truth.plane is not None:
        facts.append(f"reference: {view(truth.plane).long_name}")
    return facts


def _question(asked: Asked, runs: Sequence[Run], scene: Scene) -> Document:
    cells = [_cell(asked, run, scene) for run in runs]
    return {"name": asked.name, "kind": asked.kind, "prompt": asked.prompt, "cells": cells}


def _cell(asked: Asked, run: Run, scene: Scene) -> Document:
    """One run's answer; `state` is 'said', 'failed', 'not asked' or 'cannot' (the model takes no such question)."""
    line = run.answers.get((scene.frame.frame_id, asked.name))
    if line is None:
        can = run.head is None or asked.kind in run.head.kinds
        return {**_EMPTY, "run": run.key, "state": "not asked" if can else "cannot"}
    failure = failure_of(line, asked)
    return {
        **_EMPTY,
        "run": run.key,
        "state": "said" if failure is None else "failed",
        "failure": failure.value if failure else None,
        "reason": line.error,
        "seconds": line.seconds + line.open_seconds,
        "text": shortened(line.text),
        "fields": _fields(line),
        "issues": line.issues,
        **(_drawn(line) if asked.kind == "phases" else {}),
    }


def _fields(line: AnswerLine) -> list[tuple[str, str]] | None:
    if line.fields is None:
        return None
    return [(name.replace("_", " "), shortened(line.fields.get(name, ""), 300)) for name in INTERPRETATION_FIELDS]


def _drawn(line: AnswerLine) -> Document:
    prediction = line.prediction
    plane = view(prediction.plane).long_name if prediction and prediction.plane else None
    return {
        "shapes": shapes(prediction),
        "plane": plane,
        "plane_score": prediction.plane_score if prediction else None,
        "text": "",
    }


def shortened(text: str, longest: int = LONGEST_SHOWN) -> str:
    """A text that fits on a page; how much is left out is said.

    >>> shortened("x" * 30, 10)
    'xxxxxxxxxx ... (20 characters more)'
    """
    rest = len(text) - longest
    return text if rest <= 0 else f"{text[:longest]} ... ({rest:,} characters more)"

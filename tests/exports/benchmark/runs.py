"""Plans, answers and runs with defaults, for the tests of the comparison."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator.schema import Correction, Frame, Interpretation, Prediction
from exports.benchmark.records import AnswerLine, Asked, Head, Outcome, Plan
from exports.benchmark.runs import Run, RunFile
from exports.benchmark.scoring import Scene
from tests.builders import a_correction, a_finding, a_frame, a_prediction

FIELDS = Asked(name="eight fields", kind="fields", prompt="Describe the frame as JSON.")
FREE = Asked(name="question 1", kind="free", prompt="Which structures are seen here?")
PHASES = Asked(name="all phases", kind="phases", prompt="Describe the frame as JSON.")
PLANES = ("Trans-thalamic", "Trans-cerebellum")


def frames(count: int, **facts: Any) -> list[Frame]:
    return [a_frame(seed, f"frame{seed:02}.png", **{"subject": f"s{seed // 2}", **facts}) for seed in range(count)]


def a_plan(some: Sequence[Frame], *questions: Asked, **more: Any) -> Plan:
    values = {"sentence": "This is a fetal ultrasound image.", "profile_sha256": "p" * 8, **more}
    return Plan(frames=tuple(one.frame_id for one in some), questions=questions or (FIELDS,), **values)


def a_head(label: str = "alpha", variant: str = "plain", **more: Any) -> Head:
    values: dict[str, Any] = {
        "model_sha256": f"sha-{label}",
        "version": f"{label}-1",
        "base": "made up",
        "kinds": ("fields", "free", "phases"),
        "load_seconds": 1.5,
        "provenance": {"decoding": "greedy"},
    }
    return Head(label=label, spec=f"models/{label}", variant=variant, **{**values, **more})


def an_outcome(label: str = "alpha", variant: str = "plain", **more: Any) -> Outcome:
    values = {"model_sha256": f"sha-{label}", "peak_memory_mib": 800}
    return Outcome(label=label, spec=f"models/{label}", variant=variant, **{**values, **more})


def an_answer(
    frame: Frame, asked: Asked = FIELDS, label: str = "alpha", variant: str = "plain", **more: Any
) -> AnswerLine:
    values: dict[str, Any] = {"seconds": 2.0, "open_seconds": 0.5, "tokens_out": 30}
    if asked.kind == "fields" and "fields" not in more and "error" not in more and "text" not in more:
        fields = Interpretation(imaging_plane="transthalamic plane", image_quality="good").model_dump()
        values |= {"fields": fields, "text": json.dumps(fields)}
    values |= more
    values.setdefault("characters", len(values.get("text", "")))
    return AnswerLine(
        model_sha256=f"sha-{label}", variant=variant, frame_id=frame.frame_id, question=asked.name, **values
    )


def said(plane: str, **more: str) -> dict[str, Any]:
    """An answer of the eight fields, as a model writes it."""
    fields = Interpretation(imaging_plane=plane, **more).model_dump()
    return {"fields": fields, "text": json.dumps(fields)}


def a_run(answers: Sequence[AnswerLine], label: str = "alpha", variant: str = "plain", **outcome: Any) -> Run:
    run = Run(label, variant, f"models/{label}", a_head(label, variant), an_outcome(label, variant, **outcome))
    run.answers = {(line.frame_id, line.question): line for line in answers}
    run.peak_memory_mib = 800
    return run


def scenes(some: Sequence[Frame], picture: str = "data:image/jpeg;base64,AAAA") -> list[Scene]:
    """Each with a view and a box as its reference, the views by turns."""
    return [Scene(frame, a_truth(frame, PLANES[place % 2]), picture) for place, frame in enumerate(some)]


def a_truth(frame: Frame, plane: str) -> Correction:
    return a_correction(frame, "reference", is_truth=True, plane=plane, findings=(a_finding(origin="manual"),))


def predicted(frame: Frame, plane: str | None, *, finds: bool = True) -> Prediction:
    findings = (a_finding(score=0.9),) if finds else ()
    return a_prediction(frame, plane=plane, findings=findings, seconds={"detect": 1.0})


def write_run(path: Path, *lines: Any) -> RunFile:
    file = RunFile(path)
    file.append(lines)
    return file

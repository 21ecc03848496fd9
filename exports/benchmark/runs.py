"""The files of a benchmark, written so that a run that was killed goes on where it was."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from annotator.errors import InputError
from annotator.files import write_atomically
from exports.benchmark.records import LINES, AnswerLine, Head, Outcome, Plan

PLAN, RUNS = "plan.json", "runs"


@dataclass
class Run:
    """One model in one wording: its newest head and outcome, and the answers of those weights."""

    label: str
    variant: str
    spec: str
    head: Head | None = None
    outcome: Outcome | None = None
    answers: dict[tuple[str, str], AnswerLine] = field(default_factory=dict)
    peak_memory_mib: int | None = None
    peak_accelerator_mib: int | None = None

    @property
    def key(self) -> str:
        """How the run is called in a report."""
        return self.label if self.variant == "plain" else f"{self.label} ({self.variant})"


class RunFile:
    """A file of JSON lines that is only appended to; a last line that was torn by a kill is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Run | None:
        """Return what the file holds; None where there is nothing. InputError names a bad line."""
        lines = self._lines()
        known = [line for line in lines if not isinstance(line, AnswerLine)]
        if not known:
            return None
        heads = [line for line in known if isinstance(line, Head)]
        run = Run(known[0].label, known[0].variant, known[0].spec, heads[-1] if heads else None)
        sha256 = run.head.model_sha256 if run.head else None
        for line in lines:
            if isinstance(line, AnswerLine) and line.model_sha256 == sha256:
                run.answers[line.frame_id, line.question] = line
            elif isinstance(line, Outcome):
                run.outcome = line
                if line.model_sha256 == sha256:
                    run.peak_memory_mib = _larger(run.peak_memory_mib, line.peak_memory_mib)
                    run.peak_accelerator_mib = _larger(run.peak_accelerator_mib, line.peak_accelerator_mib)
        return run

    def append(self, lines: Iterable[Head | AnswerLine | Outcome]) -> None:
        """Append lines; they are on the disk when this returns."""
        content = "".join(line.model_dump_json(exclude_defaults=False) + "\n" for line in lines)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_torn_line()
        with self.path.open("ab") as stream:
            stream.write(content.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _lines(self) -> list[Head | AnswerLine | Outcome]:
        if not self.path.is_file():
            return []
        lines = []
        for number, raw in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1):  # what has no end was torn
            try:
                lines.append(LINES.validate_json(raw))
            except ValidationError:
                raise InputError(
                    f"{self.path}: line {number} is no record of a benchmark; delete it to ask this model anew"
                ) from None
        return lines

    def _drop_torn_line(self) -> None:
        if not self.path.is_file():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self.path.open("r+b") as stream:
                stream.truncate(whole)


def settle_plan(folder: Path, plan: Plan) -> None:
    """Keep the plan in a new folder; InputError where the folder is the benchmark of other frames or questions."""
    path = folder / PLAN
    if not path.is_file():
        write_atomically(path, (plan.model_dump_json(indent=2) + "\n").encode())
        return
    differences = _differences(read_plan(folder), plan)
    if differences:
        raise InputError(
            f"{folder} holds a benchmark with other {' and '.join(differences)}, whose answers cannot stand side "
            "by side with these; choose another --out, or --redo to ask everything anew"
        )


def read_plan(folder: Path) -> Plan:
    """Return the plan of a folder; InputError where it has none."""
    try:
        return Plan.model_validate_json((folder / PLAN).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{folder / PLAN} cannot be read as a benchmark's plan ({type(error).__name__})") from None


def read_runs(folder: Path, first: Iterable[str]) -> list[Run]:
    """Return all runs of a folder: the labels in `first` in that order, then the others by name."""
    order = {label: place for place, label in enumerate(first)}
    found = [RunFile(path).read() for path in sorted((folder / RUNS).glob("*.jsonl"))]
    runs = [run for run in found if run is not None]
    return sorted(runs, key=lambda run: (order.get(run.label, len(order)), run.label, run.variant != "plain"))


def _differences(before: Plan, now: Plan) -> list[str]:
    names = {
        "frames": before.frames != now.frames,
        "questions": before.questions != now.questions or before.profile_sha256 != now.profile_sha256,
        "words for the modality": before.sentence != now.sentence,
    }
    return [name for name, differs in names.items() if differs]


def _larger(first: int | None, second: int | None) -> int | None:
    known = [one for one in (first, second) if one is not None]
    return max(known, default=None)

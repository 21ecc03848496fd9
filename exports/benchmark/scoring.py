"""What the answers of one run add up to: sanity, text scores, cases for the evaluation, seconds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from annotator.schema import Correction, Frame, Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS, view
from exports.answers import Answer, AnswerFile
from exports.benchmark.failures import Failure, failure_of, kind_of_error
from exports.benchmark.records import AnswerLine, Asked, Plan
from exports.benchmark.runs import Run
from exports.evaluate import Case, evaluate_cases
from exports.metrics.per_frame import frame_scores
from exports.sanity import Sanity, examine
from exports.text.report import report_answers
from exports.text.resampling import Figure, Resampler
from exports.text.scoring import Scored, Scores

_TRAIN = frozenset({"train", "training"})
# Parts of an evaluation that are no scores, or one for each structure: they stand in the figures for machines.
_APART = frozenset({"sanity", "time", "per_structure", "views", "confusion", "conventions"})
_FAILED = "error"  # the reason that the parser notes for a question that failed
_BY_FRAME = {
    "plane": "view is right",
    "dice": "Dice of a frame, mean of its structures",
    "detection": "F1 of a frame's boxes at IoU .50, mean of its structures",
}


@dataclass(frozen=True)
class Scene:
    """One frame as the report shows it; `picture` is a data URL, empty where the report leaves it out."""

    frame: Frame
    truth: Correction | None = None
    picture: str = ""

    @property
    def unit(self) -> str:
        """What is resampled: the subject, else the group of near-duplicates, else the frame."""
        return self.frame.subject or self.frame.group or self.frame.frame_id

    @property
    def is_trained_on(self) -> bool:
        """Frames of the training split are shown, and not scored."""
        return (self.frame.split or "").lower() in _TRAIN


def references(truth: Correction | None) -> dict[str, str]:
    """The reference texts of a frame by field; of a frame with a view only, the name of that view."""
    if truth is None:
        return {}
    if truth.interpretation is not None:
        return {name: text for name, text in truth.interpretation.model_dump().items() if text}
    named = truth.plane is not None and truth.plane != "Other"
    return {"imaging_plane": view(truth.plane).long_name} if named and truth.plane else {}


class Judged:
    """One run, looked over and scored."""

    def __init__(self, run: Run, plan: Plan, scenes: Mapping[str, Scene]) -> None:
        self.run, self._plan = run, plan
        self.scenes = [scenes[frame_id] for frame_id in plan.frames]
        kinds = run.head.kinds if run.head else ()
        self.asked = [asked for asked in plan.questions if asked.kind in kinds]
        self.resampler = Resampler([scene.unit for scene in self.scenes])

    def line(self, scene: Scene, asked: Asked) -> AnswerLine | None:
        """The answer to one question about one frame; None where it was not asked."""
        return self.run.answers.get((scene.frame.frame_id, asked.name))

    @cached_property
    def failures(self) -> dict[tuple[str, str], Failure]:
        """Why answers failed, by frame and question."""
        lines = ((asked, self.line(scene, asked)) for scene in self.scenes for asked in self.asked)
        found = ((line, failure_of(line, asked)) for asked, line in lines if line is not None)
        return {(line.frame_id, line.question): failure for line, failure in found if failure is not None}

    @property
    def stopped_by(self) -> tuple[Failure, str] | None:
        """Why the model was not asked all; None where it was."""
        reason = self.run.outcome.reason if self.run.outcome else None
        if reason is None:
            return None
        kind = kind_of_error(reason)
        return (Failure.NOT_OPENED if kind is Failure.ERROR and self.run.head is None else kind), reason

    @property
    def usable(self) -> Scores:
        """For each frame the share of answers that can be used; None where nothing was asked."""
        return [self._share(scene, lambda line, key: key not in self.failures) for scene in self.scenes]

    @property
    def in_form(self) -> Scores:
        """For each frame, whether the eight fields came as JSON that needed no repair; None where not asked."""
        fields = [asked for asked in self.asked if asked.kind == "fields"]
        lines = [self.line(scene, fields[0]) if fields else None for scene in self.scenes]
        return [None if line is None else float(line.fields is not None and not line.issues) for line in lines]

    @property
    def seconds(self) -> Scores:
        """For each frame what all answers took, with showing it to the model; None where nothing was asked."""
        return [
            sum(line.seconds for line in lines) + max(line.open_seconds for line in lines) if lines else None
            for lines in (self._lines(scene) for scene in self.scenes)
        ]

    @property
    def tokens(self) -> Scores:
        """For each frame the tokens that were written; None where no engine told."""
        counts = [[line.tokens_out for line in self._lines(scene)] for scene in self.scenes]
        known = [[count for count in some if count is not None] for some in counts]
        return [float(sum(some)) if some else None for some in known]

    def _lines(self, scene: Scene) -> list[AnswerLine]:
        return [line for asked in self.asked if (line := self.line(scene, asked)) is not None]

    def _share(self, scene: Scene, holds: Any) -> float | None:
        marks = [holds(line, (line.frame_id, line.question)) for line in self._lines(scene)]
        return sum(marks) / len(marks) if marks else None

    @cached_property
    def sanity(self) -> Sanity | None:
        """All texts as they came, looked over; None where the model writes none."""
        answers = [
            self._as_answer(scene, name, prompt, text, line)
            for scene in self.scenes
            for asked in self.asked
            if (line := self.line(scene, asked)) is not None
            for name, prompt, text in _texts(asked, line)
        ]
        return examine(AnswerFile(self.run.key, tuple(answers))) if answers else None

    def _as_answer(self, scene: Scene, name: str, prompt: str, text: str, line: AnswerLine) -> Answer:
        return Answer(
            image=scene.frame.frame_id,
            question=name,
            answer=text,
            prompt=prompt,
            subject=scene.unit,
            error=line.error,
            finish_reason=line.finish,
            characters=max(line.characters, len(text)) if line.prediction is None else len(text),
        )

    @property
    def unanswered(self) -> dict[str, int]:
        """Of all phases, those whose question failed, and on how many frames."""
        counts: Counter[str] = Counter()
        for line in self.run.answers.values():
            counts.update(_unanswered(line))
        return dict(sorted(counts.items()))

    @cached_property
    def scored(self) -> Scored | None:
        """The eight fields against their references; None without any reference."""
        kinds = {asked.kind for asked in self.asked}
        asked = next((one for one in self.asked if one.kind == ("fields" if "fields" in kinds else "phases")), None)
        answers = [answer for scene in self.scenes if asked for answer in self._fields(scene, asked)]
        return Scored(AnswerFile(self.run.key, tuple(answers))) if answers else None

    def _fields(self, scene: Scene, asked: Asked) -> list[Answer]:
        line = self.line(scene, asked)
        if line is None or scene.is_trained_on or (line.prediction is not None and not line.prediction.raw_texts):
            return []
        said, meant = line.fields or {}, references(scene.truth)
        return [
            Answer(scene.frame.frame_id, name, said.get(name, ""), expected=meant[name], subject=scene.unit)
            for name in INTERPRETATION_FIELDS
            if name in meant
        ]

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Frames with a reference of which all phases were asked, by id."""
        phases = next((asked for asked in self.asked if asked.kind == "phases"), None)
        found = {}
        for scene in self.scenes:
            line = self.line(scene, phases) if phases else None
            if line is not None and scene.truth is not None and not scene.is_trained_on:
                found[scene.frame.frame_id] = Case(scene.frame, scene.truth, _prediction(line))
        return found

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Every score by its name."""
        found = {f"findings: {name}": one for name, one in flattened(self.evaluation).items()}
        return self._by_frame() | found | self._text_figures()

    @cached_property
    def evaluation(self) -> Figure:
        """All that the evaluation of findings and views says; empty where there is nothing to evaluate."""
        return evaluate_cases(list(self.cases.values())) if self.cases else {}

    def _text_figures(self) -> dict[str, Figure]:
        if self.scored is None or not self.scored.answers:
            return {}
        report = report_answers(self.scored)
        found = {f"field: {name}".replace("_", " "): _plain(one) for name, one in report["fields"].items()}
        if any(scene.truth and scene.truth.interpretation for scene in self.scenes):
            found |= {f"text: {name}": one for name, one in {**report["figures"], **report["text"]}.items()}
        if "normality" in report:
            found["normality: balanced accuracy"] = report["normality"]["balanced_accuracy"]
        return {name: one for name, one in found.items() if one["value"] is not None}

    @cached_property
    def by_case(self) -> dict[str, dict[str, float]]:
        """Scores of single frames, which runs are compared by: name -> frame -> score 0..1."""
        columns: dict[str, dict[str, float]] = {name: {} for name in _BY_FRAME.values()}
        for frame_id, case in self.cases.items():
            scores = frame_scores(case)
            for kind, name in _BY_FRAME.items():
                mine = [score for (one, _), score in scores.items() if one == kind]
                if mine:
                    columns[name][frame_id] = sum(mine) / len(mine)
        return {name: column for name, column in columns.items() if column}

    def _by_frame(self) -> dict[str, Figure]:
        """Their means."""
        return {
            name: Resampler([self.cases[frame_id].unit for frame_id in column]).mean(list(column.values()))
            for name, column in self.by_case.items()
        }


def flattened(figures: Figure, before: str = "") -> dict[str, Figure]:
    """Every score of a tree of figures, its name made of the way to it.

    >>> flattened({"cases": 2, "boxes": {"mean_ap50": {"value": 0.5, "n": 2, "ci95": [0.2, 0.8]}}})
    {'boxes, mean ap50': {'value': 0.5, 'n': 2, 'ci95': [0.2, 0.8]}}
    """
    found: dict[str, Figure] = {}
    for name, one in figures.items():
        full = f"{before}, {name.replace('_', ' ')}" if before else name.replace("_", " ")
        if not isinstance(one, dict) or name in _APART:
            continue
        if "value" not in one:
            found |= flattened(one, full)
        elif one["value"] is not None:
            found[full] = _plain(one)
    return found


def _plain(figure: Figure) -> Figure:
    return {name: figure[name] for name in ("value", "n", "subjects", "ci95") if name in figure}


def _prediction(line: AnswerLine) -> Prediction | None:
    return line.prediction if line.error is None else None


def _texts(asked: Asked, line: AnswerLine) -> Sequence[tuple[str, str, str]]:
    """Question, prompt and text of what was written; of all phases each text by itself."""
    if line.prediction is None:
        return [(asked.name, asked.prompt, line.text)]
    unanswered = _unanswered(line)
    texts = line.prediction.raw_texts.items()
    return [
        (f"{asked.name}: {phase}", "", text)
        for phase, text in texts
        if text or phase.partition(" ")[0] not in unanswered
    ]


def _unanswered(line: AnswerLine) -> set[str]:
    """The phases whose question failed: that is told apart from a text."""
    issues = line.prediction.issues if line.prediction else ()
    return {issue.phase for issue in issues if issue.reason == _FAILED}

"""The five phases of FADA over any vision-language engine: interpret, classify, map, detect, segment.

INTERPRET and CLASSIFY need nothing of each other, DETECT, SEGMENT and KEYPOINTS only what MAP chose; so a batch of
frames is asked in two rounds, and each frame is shown to the model once. In the guided mode a person chooses the
structures, and the frame that is open already is asked again.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.consistency import check_consistency
from annotator.errors import BackendError
from annotator.mapping import Mapping, map_structures, phase_groups
from annotator.schema import (
    Finding,
    Interpretation,
    LoadedFrame,
    ModelVersion,
    ParseIssue,
    Prediction,
    Prompt,
)
from annotator.taxonomy import VIEWS, Kind, structure, structures_of_kind
from backends.engine import Answer, Engine, Phase, Question
from backends.merging import merge_findings
from backends.parsing import parse_findings, parse_interpretation, parse_view
from backends.prompts import PromptProfile, load_profile, question

OPEN_FRAMES = 16
VIEW_NAMES = tuple(view.name for view in VIEWS)


@dataclass
class _Reading:
    """What is known of one frame while its phases run."""

    loaded: LoadedFrame
    handle: Any
    interpretation: Interpretation | None = None
    plane: str | None = None
    plane_score: float | None = None
    mapping: Mapping | None = None
    asked_for: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answered_for: set[str] = field(default_factory=set)
    detected: list[Finding] = field(default_factory=list)
    segmented: list[Finding] = field(default_factory=list)
    pointed: list[Finding] = field(default_factory=list)
    issues: list[ParseIssue] = field(default_factory=list)
    raw_texts: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class FadaBackend:
    """A Backend over a vision-language engine."""

    def __init__(
        self,
        engine: Engine[Any],
        profile: PromptProfile | None = None,
        *,
        name: str = "fada",
        asks_keypoints: bool = False,
    ) -> None:
        """Ask `engine` in the words of `profile`; `asks_keypoints` adds the keypoints of the mapped groups."""
        self.name = name
        self._engine = engine
        self._profile = profile or load_profile()
        self._asks_keypoints = asks_keypoints
        self._open: OrderedDict[str, Any] = OrderedDict()
        self.model = _model_version(name, engine.model, self._profile)

    @property
    def engine(self) -> Engine[Any]:
        """The engine that answers."""
        return self._engine

    @property
    def profile(self) -> PromptProfile:
        """The words in which it is asked."""
        return self._profile

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        """Run all phases; BackendError where the model failed to answer every question about a frame."""
        readings = self._read(batch)
        self._ask([(reading, item) for reading in readings for item in self._first_round()])
        for reading in readings:
            reading.mapping = map_structures(reading.interpretation, reading.plane)
        self._ask([(reading, item) for reading in readings for item in self._second_round(reading)])
        return [self._prediction(reading) for reading in readings]

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        """Detect and segment only what a person chose; what was open already is not shown to the model again."""
        (reading,) = self._read([loaded])
        self._ask([(reading, item) for item in self._looking_for(detect, segment)])
        return self._prediction(reading)

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        """Outline the structure that was pointed at: it is asked for, and points and box choose an answer."""
        name = prompt.structure
        can_mask = Kind.MASK in structure(name).kinds
        prediction = self.look_for(loaded, () if can_mask else (name,), (name,) if can_mask else ())
        return [item for item in prediction.findings if _is_meant(item, prompt)]

    def _read(self, batch: Sequence[LoadedFrame]) -> list[_Reading]:
        """Show the model the frames that are not open yet; the least recently asked are let go of."""
        fresh = {one.frame.frame_id: one for one in batch if one.frame.frame_id not in self._open}
        handles = self._engine.open([one.pixels for one in fresh.values()]) if fresh else []
        self._open.update(zip(fresh, handles, strict=True))
        for one in batch:
            self._open.move_to_end(one.frame.frame_id)
        while len(self._open) > max(OPEN_FRAMES, len(batch)):
            self._engine.close(self._open.popitem(last=False)[1])
        return [_Reading(one, self._open[one.frame.frame_id]) for one in batch]

    def _first_round(self) -> list[Question]:
        return [
            question(self._profile, Phase.INTERPRET),
            question(self._profile, Phase.CLASSIFY, views=VIEW_NAMES),
        ]

    def _second_round(self, reading: _Reading) -> list[Question]:
        assert reading.mapping is not None
        questions = self._looking_for(reading.mapping.detect, reading.mapping.segment)
        if self._asks_keypoints:
            groups = {structure(name).group for name in reading.mapping.detect}
            points = [item.name for item in structures_of_kind(Kind.KEYPOINTS) if item.group in groups]
            questions += self._questions(Phase.KEYPOINTS, points)
        return questions

    def _looking_for(self, detect: Sequence[str], segment: Sequence[str]) -> list[Question]:
        return self._questions(Phase.DETECT, detect) + self._questions(Phase.SEGMENT, segment)

    def _questions(self, phase: Phase, structures: Sequence[str]) -> list[Question]:
        return [question(self._profile, phase, structures=group) for group in phase_groups(structures)]

    def _ask(self, questions: Sequence[tuple[_Reading, Question]]) -> None:
        if not questions:
            return
        answers = self._engine.ask([(reading.handle, item) for reading, item in questions])
        for (reading, item), answer in zip(questions, answers, strict=True):
            _note(reading, item, answer)
            self._understand(reading, item, answer)

    def _understand(self, reading: _Reading, asked: Question, answer: Answer) -> None:
        if asked.phase is Phase.INTERPRET:
            reading.interpretation, issues = parse_interpretation(answer)
        elif asked.phase is Phase.CLASSIFY:
            reading.plane, reading.plane_score, issues = parse_view(answer, VIEW_NAMES)
        else:
            size_wh = reading.loaded.frame.size_wh
            findings, issues = parse_findings(answer, asked.phase, asked.structures, size_wh)
            _kept_by(reading, asked.phase).extend(findings)
            key = asked.phase.value
            reading.asked_for[key] = (*reading.asked_for.get(key, ()), *asked.structures)
            reading.answered_for.update(asked.structures if answer.error is None else ())
        reading.issues.extend(issues)

    def _prediction(self, reading: _Reading) -> Prediction:
        if reading.failures and len(reading.failures) == len(reading.raw_texts):
            raise BackendError(f"the model answered nothing: {reading.failures[0]}")
        findings = (*merge_findings(reading.detected, reading.segmented), *reading.pointed)
        mapping = reading.mapping
        return Prediction(
            frame_id=reading.loaded.frame.frame_id,
            model_version=self.model.name,
            findings=findings,
            plane=reading.plane,
            plane_score=reading.plane_score,
            interpretation=reading.interpretation,
            mapping_tier=mapping.tier.value if mapping else None,
            mapping_evidence=mapping.evidence if mapping else (),
            asked_for=reading.asked_for,
            inconsistencies=check_consistency(reading.interpretation, findings, reading.answered_for),
            issues=tuple(reading.issues),
            raw_texts=reading.raw_texts,
            seconds=reading.seconds,
            provenance={**self._engine.provenance, "profile": self._profile.content_hash},
        )


def _kept_by(reading: _Reading, phase: Phase) -> list[Finding]:
    return {
        Phase.DETECT: reading.detected,
        Phase.SEGMENT: reading.segmented,
        Phase.KEYPOINTS: reading.pointed,
    }[phase]


def _note(reading: _Reading, asked: Question, answer: Answer) -> None:
    """Keep the text as it came, apart from code units that no file can hold, and the time that it took."""
    count = sum(key.partition(" ")[0] == asked.phase.value for key in reading.raw_texts)
    key = asked.phase.value if count == 0 else f"{asked.phase.value} {count + 1}"
    reading.raw_texts[key] = answer.text.encode("utf-8", "replace").decode("utf-8")
    reading.seconds[asked.phase.value] = reading.seconds.get(asked.phase.value, 0.0) + answer.seconds
    if answer.error is not None:
        reading.failures.append(answer.error)


def _is_meant(finding: Finding, prompt: Prompt) -> bool:
    """Tell whether a finding holds the positive points and none of the negative ones, or meets the drawn box."""
    x_min, y_min, x_max, y_max = finding.box_xyxy

    def holds(x: float, y: float) -> bool:
        return x_min <= x <= x_max and y_min <= y <= y_max

    if any(holds(point.x, point.y) != point.positive for point in prompt.points):
        return False
    if prompt.box_xyxy is None:
        return True
    left, top, right, bottom = prompt.box_xyxy
    return left < x_max and x_min < right and top < y_max and y_min < bottom


def _model_version(name: str, engine: ModelVersion, profile: PromptProfile) -> ModelVersion:
    """Name the whole that answers: other weights, another profile or other decoding is another version."""
    parts = [engine.content_hash, profile.content_hash, json.dumps(engine.settings, sort_keys=True, default=str)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return ModelVersion(
        name=f"{name}-{digest[:8]}",
        backend=name,
        base=engine.base,
        content_hash=digest,
        settings={
            **engine.settings,
            "engine": engine.name,
            "engine_sha256": engine.content_hash,
            "profile": profile.name,
            "profile_sha256": profile.content_hash,
        },
    )

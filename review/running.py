"""How a guided case has structures looked for: a runner, whatever stands behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from annotator.schema import Finding, Interpretation, Prediction
from annotator.store import Store
from annotator.taxonomy import STRUCTURES, TOGETHER, Group, Kind, structure

RunState = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Preset:
    """What the mapping would look for, and the tier and evidence that chose it."""

    detect: tuple[str, ...]
    segment: tuple[str, ...]
    tier: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How a run stands. A run that is done names the stored Prediction that holds what it found."""

    state: RunState
    fraction: float = 0.0
    line: str = ""
    findings: tuple[Finding, ...] = ()
    prediction_id: str | None = None


class GuidedRunner(Protocol):
    """Runs a model on one open frame, beside the server's own work. Methods answer at once."""

    def preset(self, prediction: Prediction, interpretation: Interpretation) -> Preset:
        """Map the text, as the reader left it, to structures."""
        ...

    def start(
        self, frame_id: str, detect: Sequence[str], segment: Sequence[str], *, prediction_id: str | None = None
    ) -> str:
        """Begin to look for structures and return the run's id; `prediction_id` is the output that was read."""
        ...

    def progress(self, run: str) -> RunProgress:
        """Return how a run stands; KeyError for one that is not known, as after a restart."""
        ...

    def cancel(self, run: str) -> None:
        """Stop a run; one that is done or not known stays as it is."""
        ...


class StoredRunner:
    """A runner without a model: what was looked for is taken from the stored Prediction. A run's id names it."""

    def __init__(self, store: Store) -> None:
        """Take predictions from `store`."""
        self._store = store

    def preset(self, prediction: Prediction, interpretation: Interpretation) -> Preset:
        """Return what the Prediction itself was asked for, or else what it holds."""
        return preset_of(prediction)

    def start(
        self, frame_id: str, detect: Sequence[str], segment: Sequence[str], *, prediction_id: str | None = None
    ) -> str:
        """There is nothing to start: the output is there already."""
        return f"stored:{prediction_id or ''}"

    def progress(self, run: str) -> RunProgress:
        """Return the stored output."""
        kind, _, prediction_id = run.partition(":")
        prediction = self._store.prediction(prediction_id) if kind == "stored" and prediction_id else None
        if prediction is None:
            return RunProgress("failed", line="there is no stored output for this frame")
        return RunProgress("done", 1.0, "done", prediction.findings, prediction_id)

    def cancel(self, run: str) -> None:
        """Nothing runs."""


def preset_of(prediction: Prediction) -> Preset:
    """Return what a Prediction was asked for; where it does not say, the structures that it holds."""
    asked = prediction.asked_for
    detect = asked.get("detect") or tuple(dict.fromkeys(one.structure for one in prediction.findings))
    masked = tuple(dict.fromkeys(one.structure for one in prediction.findings if one.mask_rle is not None))
    segment = asked.get("segment", masked)
    return Preset(tuple(detect), tuple(segment), prediction.mapping_tier, prediction.mapping_evidence)


def targeted(findings: Sequence[Finding], detect: Sequence[str], segment: Sequence[str]) -> list[Finding]:
    """Return the findings that were asked for; a mask that was not asked for is left off, its box stays."""
    wanted = {*detect, *segment}
    kept = [finding for finding in findings if finding.structure in wanted]
    return [
        one if one.structure in segment else one.model_copy(update={"mask_rle": None, "ellipse": None})
        for one in kept
    ]


def why_not_together(detect: Sequence[str], segment: Sequence[str]) -> str | None:
    """Return why these structures cannot be asked for in one go, or None where they can."""
    names = dict.fromkeys([*detect, *segment])
    known = {item.name for item in STRUCTURES}
    stray = [name for name in names if name not in known]
    if stray:
        return f"unknown structure {stray[0]!r}"
    if not names:
        return "choose at least one structure"
    flat = [name for name in segment if Kind.MASK not in structure(name).kinds]
    if flat:
        return f"{structure(flat[0]).long_name} has a box or points only and cannot be segmented"
    groups = {structure(name).group for name in names} - {Group.CALIBRATION}
    if len(groups) > 2 or (len(groups) == 2 and frozenset(groups) not in TOGETHER):
        return f"{' and '.join(sorted(groups))} are not looked for together: choose structures of one group"
    return None


def groups_document() -> list[list[str]]:
    """Return the structures that may be chosen together, group by group."""
    return [[item.name for item in STRUCTURES if item.group is group] for group in Group]

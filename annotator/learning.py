"""The records of the learning loop: what is trained on what, which version serves, what was queued and why.

Decisions (Promotion, QueueRound, LoopStep) are appended and never changed. A TrainingRun changes while it runs;
what it made is a ModelVersion, which does not.
"""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from annotator.schema import Record, new_id, utc_now
from annotator.selection.picking import Pick

Margin = Annotated[float, Field(ge=0.0, le=1.0)]
TrainableBackend = Literal["embedded", "fada"]


class Margins(Record):
    """How much worse a new version may be, as a difference of means; declared before anything is measured."""

    dice: Margin = Field(default=0.01, description="of a structure's masks")
    detection: Margin = Field(default=0.03, description="of a structure's F1 at IoU .50")
    plane: Margin = Field(default=0.05, description="of the accuracy on a plane")


class TrainingState(StrEnum):
    """Of one training."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (TrainingState.QUEUED, TrainingState.RUNNING)


class TrainingSpec(Record):
    """What a training was asked to do; fixed when it is queued, so that it can be repeated."""

    backend: TrainableBackend
    dataset: str = Field(description="dataset_id of the DatasetVersion it learns from")
    dataset_folder: Path
    dataset_hash: str = Field(description="content_hash of the version; training refuses a folder that differs")
    parent: str | None = Field(default=None, description="model version it starts from; None for the release's")
    parent_folder: Path | None = None
    seed: int = 0
    settings: dict[str, Any] = Field(default_factory=dict, description="of the trainer; what is absent is default")
    margins: Margins = Field(default_factory=Margins)
    new_corrections: int = Field(default=0, description="frames corrected since the last training")
    asked_by: str = ""


class TrainingRun(Record):
    """One training in the queue: how far it is, and what came of it."""

    run_id: str = Field(default_factory=lambda: new_id("trn"))
    backend: TrainableBackend
    spec: TrainingSpec
    state: TrainingState = TrainingState.QUEUED
    step: int = 0
    total: int = 0
    message: str = ""
    model_version: str | None = None
    cancel_asked: bool = False
    created_at: datetime = Field(default_factory=utc_now)
    updated_at: datetime = Field(default_factory=utc_now)


class Decision(StrEnum):
    """What became of a candidate."""

    PROMOTED = "promoted"
    KEPT = "kept"
    ROLLED_BACK = "rolled_back"


class Comparison(Record):
    """New minus old on one structure or plane, paired by frame, clustered by subject."""

    measure: Literal["dice", "detection", "plane"]
    what: str = Field(description="the structure or the plane; `all` for all of a measure together")
    old: float
    new: float
    difference: float
    ci95: tuple[float, float]
    margin: Margin
    frames: int
    subjects: int
    is_judged: bool = Field(default=True, description="False: too few frames to hold it against the margin")
    is_acceptable: bool = Field(
        description="judged: the interval's lower end lies above -margin; else: not shown to be worse"
    )
    refusal_if_equal: float = Field(
        default=0.0, description="chance that an equal version is refused here, known before the new one was asked"
    )
    unproven_if_equal: float = Field(
        default=1.0, description="chance that this does not show an equal version to be no worse, known likewise"
    )


class Promotion(Record):
    """A decision about which version serves; the newest of a backend counts. `serving` None is the release's."""

    kind: Literal["promotion"] = "promotion"
    promotion_id: str = Field(default_factory=lambda: new_id("pro"))
    backend: TrainableBackend
    candidate: str = Field(description="the model version that was judged or asked for")
    previous: str | None = Field(default=None, description="what served before")
    serving: str | None = Field(default=None, description="what serves from now on")
    decision: Decision
    reasons: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    margins: Margins | None = None
    frozen_set: str = Field(default="", description="hash over the frames and labels that it was judged on")
    decided_by: str = ""
    created_at: datetime = Field(default_factory=utc_now)


class QueueRound(Record):
    """What is to be labelled next, in order, and why in this order."""

    kind: Literal["queue_round"] = "queue_round"
    queue_id: str = Field(default_factory=lambda: new_id("que"))
    asked: str = Field(description="the strategy that was asked for; auto follows the evidence")
    served: str = Field(description="the strategy that decided")
    reason: str = ""
    evidence_id: str | None = None
    model_version: str | None = None
    relabels: bool = Field(default=False, description="labelled frames to look at again")
    picks: tuple[Pick, ...] = ()
    seed: int = 0
    created_at: datetime = Field(default_factory=utc_now)


class LoopStage(StrEnum):
    """Where a round of the loop is; each is entered once its work is committed."""

    QUEUED = "queued"
    CORRECTED = "corrected"
    TRAINED = "trained"
    DECIDED = "decided"


class LoopStep(Record):
    """One stage of one round of the loop that was finished."""

    kind: Literal["loop_step"] = "loop_step"
    step_id: str = Field(default_factory=lambda: new_id("lps"))
    loop_id: str
    round: int = Field(ge=1)
    stage: LoopStage
    refers_to: str = Field(default="", description="queue_id, dataset_id, model version or promotion_id")
    note: str = ""
    created_at: datetime = Field(default_factory=utc_now)


def model_folder(workspace: Path, name: str) -> Path:
    """Return where the files of a trained model version lie; whole or absent.

    >>> model_folder(Path("workspace"), "embedded-0f3c9a1b").as_posix()
    'workspace/models/versions/embedded-0f3c9a1b'
    """
    return workspace / "models" / "versions" / name

"""The records: frozen, validated where they are born, geometry in pixels of the original frame.

Pixels follow the edge convention of pycocotools: pixel i covers [i, i + 1), so a frame of width W spans 0..W and
a single pixel has a box of width 1. A machine's Prediction and a person's Correction are different records.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from annotator import taxonomy

BoxXyxy = tuple[float, float, float, float]


def new_id(prefix: str) -> str:
    """Return a fresh random identifier such as `prd_1f0c...` (96 random bits)."""
    return f"{prefix}_{secrets.token_hex(12)}"


def utc_now() -> datetime:
    """Return the present moment, UTC, whole milliseconds so that JSON keeps it exactly."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _known_structure(name: str) -> str:
    if not taxonomy.is_structure(name):
        raise ValueError(f"unknown structure {name!r}; the taxonomy holds the labels that exist")
    return name


def _known_view(name: str) -> str:
    if not taxonomy.is_view(name):
        raise ValueError(f"unknown plane {name!r}; the taxonomy holds the views that exist")
    return name


def _ordered_box(box: BoxXyxy) -> BoxXyxy:
    x_min, y_min, x_max, y_max = box
    if not all(math.isfinite(value) for value in box):
        raise ValueError(f"box_xyxy must be finite, got {box}")
    if x_max < x_min or y_max < y_min:
        raise ValueError(f"box_xyxy must be (x_min, y_min, x_max, y_max), got {box}")
    return box


StructureName = Annotated[str, AfterValidator(_known_structure)]
ViewName = Annotated[str, AfterValidator(_known_view)]
Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
OrderedBox = Annotated[BoxXyxy, AfterValidator(_ordered_box)]


class Record(BaseModel):
    """Base of all records: immutable, nothing unknown is let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(StrEnum):
    """Who made a region, in Label Studio's words (DICOM: AUTOMATIC, SEMIAUTOMATIC, MANUAL)."""

    PREDICTION = "prediction"
    PREDICTION_CHANGED = "prediction-changed"
    MANUAL = "manual"


class MaskRle(Record):
    """A binary mask as COCO compressed RLE; `size_hw` is the frame's height and width."""

    size_hw: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    counts: str


class Ellipse(Record):
    """Centre and semi-axes in pixels; `angle_deg` turns the x semi-axis clockwise on the screen."""

    cx: Coordinate
    cy: Coordinate
    rx: Length
    ry: Length
    angle_deg: Coordinate = 0.0


class RotatedBox(Record):
    """Centre, size in pixels, and the clockwise turn about the centre."""

    cx: Coordinate
    cy: Coordinate
    width: Length
    height: Length
    angle_deg: Coordinate = 0.0


class Keypoint(Record):
    """A named point; `visibility` as in COCO: 0 absent, 1 hidden, 2 visible."""

    name: str
    x: Coordinate
    y: Coordinate
    visibility: Annotated[int, Field(ge=0, le=2)] = 2


class Finding(Record):
    """One structure in one frame. It always has a box; the mask, ellipse and the rest refine it."""

    finding_id: str = Field(default_factory=lambda: new_id("fnd"))
    structure: StructureName
    box_xyxy: OrderedBox
    mask_rle: MaskRle | None = None
    ellipse: Ellipse | None = None
    rotated_box: RotatedBox | None = None
    keypoints: tuple[Keypoint, ...] = ()
    score: Score | None = None
    removed_mass: Score | None = Field(default=None, description="probability that a constraint took from it")
    origin: Origin = Origin.PREDICTION
    parent_finding_id: str | None = None


class Interpretation(Record):
    """The eight fields of a written interpretation; empty where the model or reader said nothing."""

    anatomical_structures: str = ""
    fetal_orientation: str = ""
    imaging_plane: str = ""
    biometric_measurements: str = ""
    gestational_age: str = ""
    image_quality: str = ""
    normality_assessment: str = ""
    clinical_recommendations: str = ""


class Frame(Record):
    """One de-identified image; `frame_id` is the hash of its pixels."""

    frame_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    source_file: str
    source: str = ""
    subject: str | None = None
    group: str | None = None
    site: str | None = None
    scanner: str | None = None
    split: str | None = None
    pixel_spacing_mm: tuple[Length, Length] | None = Field(default=None, description="row, column")
    simulated: bool = False

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height


class ParseIssue(Record):
    """Something in a model's answer that could not be used as it stood; a loss is never silent."""

    phase: str
    reason: str
    excerpt: str = ""


class Inconsistency(Record):
    """The text and the geometry of one prediction disagree about a structure."""

    structure: StructureName
    kind: Literal["named_not_found", "found_not_named", "found_but_denied"]
    evidence: str = Field(default="", description="the words, with the field they stand in")


class Prediction(Record):
    """What one model version said about one frame."""

    prediction_id: str = Field(default_factory=lambda: new_id("prd"))
    frame_id: str
    model_version: str
    findings: tuple[Finding, ...] = ()
    plane: ViewName | None = None
    plane_score: Score | None = None
    interpretation: Interpretation | None = None
    mapping_tier: str | None = None
    mapping_evidence: tuple[str, ...] = ()
    asked_for: dict[str, tuple[StructureName, ...]] = Field(default_factory=dict, description="per phase")
    inconsistencies: tuple[Inconsistency, ...] = ()
    issues: tuple[ParseIssue, ...] = ()
    provenance: dict[str, str | int | float | None] = Field(
        default_factory=dict, description="hashes of profile, weights, adapter; seed; decoding"
    )
    raw_texts: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, Seconds] = Field(default_factory=dict, description="per phase")
    created_at: datetime = Field(default_factory=utc_now)

    @property
    def score(self) -> float | None:
        """The lowest score of its findings and plane: the frame is as sure as its least sure part."""
        scores = [finding.score for finding in self.findings if finding.score is not None]
        scores += [self.plane_score] if self.plane_score is not None else []
        return min(scores, default=None)


class Change(StrEnum):
    """What became of one region between a prediction and its correction."""

    KEPT = "kept"
    CHANGED = "changed"
    DELETED = "deleted"
    ADDED = "added"


class Correction(Record):
    """What one reader, or a reference standard, says about one frame; the newest of a reader counts."""

    correction_id: str = Field(default_factory=lambda: new_id("cor"))
    frame_id: str
    reader: str
    is_truth: bool = False
    prediction_id: str | None = None
    findings: tuple[Finding, ...] = ()
    plane: ViewName | None = None
    interpretation: Interpretation | None = None
    deleted_finding_ids: tuple[str, ...] = ()
    changes: dict[str, Change] = Field(default_factory=dict, description="finding_id -> what became of it")
    reasons: tuple[str, ...] = ()
    issues: tuple[ParseIssue, ...] = ()
    lead_time_s: Seconds | None = None
    skipped: bool = False
    external_id: str | None = Field(default=None, description="annotation id where it was made")
    external_updated_at: str | None = None
    created_at: datetime = Field(default_factory=utc_now)

    @model_validator(mode="after")
    def _changes_name_findings(self) -> "Correction":
        named = {finding.finding_id for finding in self.findings} | set(self.deleted_finding_ids)
        stray = set(self.changes) - named
        if stray:
            raise ValueError(f"changes name findings that the correction does not hold: {sorted(stray)}")
        return self


GUIDED = "+guided"


class ModelVersion(Record):
    """One set of weights; its name ends in the hash of its content, so that equal names mean equal weights.

    The suffix `+guided` marks answers to what a reader chose to look for: they are no pre-annotation.
    """

    name: str
    backend: str
    base: str
    content_hash: str
    parent: str | None = None
    dataset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class PromptPoint(Record):
    """A click of a smart tool, in pixels; negative points say what is not part of the structure."""

    x: Coordinate
    y: Coordinate
    positive: bool = True


class Prompt(Record):
    """What a reader pointed at in order to have it outlined."""

    structure: StructureName
    points: tuple[PromptPoint, ...] = ()
    box_xyxy: OrderedBox | None = None


@dataclass(frozen=True)
class LoadedFrame:
    """A Frame with its pixels: uint8, (H, W) gray or (H, W, 3) RGB."""

    frame: Frame
    pixels: NDArray[np.uint8]


class Backend(Protocol):
    """A model, whatever it is. Errors on one frame are raised; the caller goes on with the others."""

    name: str
    model: ModelVersion

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        """Return one Prediction a frame, in order."""
        ...

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        """Return a Prediction of only the structures that a person chose."""
        ...

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        """Return what the prompt points at, or nothing."""
        ...

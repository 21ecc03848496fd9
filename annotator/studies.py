"""The records of reader studies: who reads, what is read, and every grade and step, as rows that are only added.

A grade is a person's: 1 acceptable, 2 minor issues, 3 major errors, or "NG" (not gradable), a code that is counted
and never a missing value. A newer row of the same slot and dimension replaces an older one, which stays.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from annotator.schema import Interpretation, Record, Seconds, StructureName, new_id, utc_now

LONGEST_COMMENT = 10_000


def _no_truth_value(grade: object) -> object:
    """JSON's true equals 1 and is no grade."""
    if isinstance(grade, bool):
        raise ValueError("a grade is 1, 2, 3 or 'NG'")
    return grade


Grade = Annotated[Literal[1, 2, 3, "NG"], BeforeValidator(_no_truth_value)]
Suggestion = Literal[1, 2, 3]
Comment = Annotated[str, Field(max_length=LONGEST_COMMENT)]


def _plain_login(login: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]{0,63}", login):
        raise ValueError(
            f"login {login!r} must be 1 to 64 of a-z, 0-9 and . _ @ -, and begin with a letter or digit"
        )
    return login


Login = Annotated[str, AfterValidator(_plain_login)]


class Role(StrEnum):
    """What an account may do: a curator prepares and never grades, a reader sees nobody else's work."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    CURATOR = "curator"
    ADMINISTRATOR = "administrator"


class Mode(StrEnum):
    """How a case is read: the finished outputs side by side, or one output step by step with the reader."""

    AUTONOMOUS = "autonomous"
    GUIDED = "guided"


class Arm(StrEnum):
    """Which modes a study has; in `both`, each reader sees each frame in both modes, crossed over."""

    AUTONOMOUS = "autonomous"
    GUIDED = "guided"
    BOTH = "both"


class Dimension(StrEnum):
    """What a grade is about."""

    INTERPRETATION = "interpretation"
    ANNOTATION = "annotation"


class Normality(StrEnum):
    """A reader's own judgement of what a frame shows."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNSURE = "unsure"


class Account(Record):
    """Who may log in; the newest row of a login counts. The hash names its own parameters and salt."""

    account_id: str = Field(default_factory=lambda: new_id("acc"))
    login: Login
    role: Role
    password_hash: str = Field(repr=False)
    active: bool = True
    created_at: datetime = Field(default_factory=utc_now)


class StudyCase(Record):
    """One frame of a study and, for each version of the study in order, the Prediction that is shown (or None)."""

    frame_id: str
    prediction_ids: tuple[str | None, ...]


class Study(Record):
    """A reader study; the newest row of a `study_id` counts. Cases are only ever added, a batch at a time."""

    revision_id: str = Field(default_factory=lambda: new_id("str"))
    study_id: str = Field(default_factory=lambda: new_id("stu"))
    name: str = Field(min_length=1, max_length=100)
    title: str = Field(min_length=1, max_length=100, description="what readers see: says nothing of the versions")
    batches: tuple[tuple[StudyCase, ...], ...]
    versions: tuple[str, ...]
    withdrawn: tuple[str, ...] = Field(default=(), description="versions that open cases no longer show")
    readers: tuple[Login, ...]
    arm: Arm = Arm.AUTONOMOUS
    seed: int = 0
    algorithm: str
    secret: str = Field(repr=False, description="makes the tokens of cases and shapes; never leaves the store")
    repeats: float = Field(default=0.1, ge=0, le=0.5)
    washout_days: float = Field(default=14.0, ge=0, allow_inf_nan=False)
    session_cases: int | None = Field(default=None, ge=1)
    session_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    break_minutes: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    rubric: str
    unblinded_by: str | None = None
    unblinded_at: datetime | None = None
    created_by: str = ""
    created_at: datetime = Field(default_factory=utc_now)

    @property
    def cases(self) -> tuple[StudyCase, ...]:
        """All cases, in the order in which they were added."""
        return tuple(case for batch in self.batches for case in batch)


class ReviewScore(Record):
    """One grade of one output by one reader, locked when its case is done; `replaces` names the row before it."""

    score_id: str = Field(default_factory=lambda: new_id("scr"))
    study_id: str
    token: str
    frame_id: str
    prediction_id: str | None
    model_version: str
    reader: Login
    mode: Mode
    dimension: Dimension
    grade: Grade
    suggested: Suggestion | None = None
    criteria: tuple[str, ...] = ()
    error_types: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="interpretation field -> ids")
    blinded: bool = True
    slot: str
    position: int = Field(ge=1, description="of the case in this reader's plan")
    repeat: bool = False
    seconds: Seconds | None = None
    comment: Comment = ""
    reason: Comment = ""
    replaces: str | None = None
    client_id: str
    created_at: datetime = Field(default_factory=utc_now)


class StepKind(StrEnum):
    """The steps of a guided case, in their order."""

    OWN_VIEW = "own_view"
    INTERPRETATION = "interpretation"
    TARGETS = "targets"
    RUN = "run"
    GEOMETRY = "geometry"
    LABEL_STUDIO = "label_studio"


class View(Record):
    """What a reader takes a frame for: a view's name or "other"."""

    plane: str
    normality: Normality


class OwnView(View):
    """The reader's own view, stored before anything of the model was shown."""

    seen: Comment = ""


class ReadText(Record):
    """The model's text as the reader left it, and the reader's view after reading it."""

    interpretation: Interpretation
    corrected_fields: tuple[str, ...] = ()
    view: View | None = None
    overturned: bool | None = Field(default=None, description="None where it cannot be told")


class Targets(Record):
    """What to look for, chosen by the reader from the preset of the mapping."""

    detect: tuple[StructureName, ...] = ()
    segment: tuple[StructureName, ...] = ()
    tier: str | None = None
    evidence: tuple[str, ...] = ()
    is_preset: bool = Field(description="the reader left the preset as it was")


class Run(Record):
    """How one run of a model on the open frame ended."""

    run: str
    state: Literal["running", "done", "failed", "cancelled"]
    line: str = ""
    prediction_id: str | None = None


class GeometryEdit(Record):
    """Simple fixes in place, or their absence; the Correction holds the geometry itself."""

    correction_id: str | None = None
    removed: int = 0
    relabelled: int = 0
    accepted: bool = False


class StudyStep(Record):
    """One step of a guided case, with its seconds; exactly the part that its kind names is filled."""

    step_id: str = Field(default_factory=lambda: new_id("stp"))
    study_id: str
    token: str
    frame_id: str
    prediction_id: str | None
    reader: Login
    step: StepKind
    own_view: OwnView | None = None
    text: ReadText | None = None
    targets: Targets | None = None
    run: Run | None = None
    geometry: GeometryEdit | None = None
    seconds: Seconds | None = None
    created_at: datetime = Field(default_factory=utc_now)


class Adjudication(Record):
    """What an adjudicator says where readers disagree: stored beside their grades, never over them."""

    adjudication_id: str = Field(default_factory=lambda: new_id("adj"))
    study_id: str
    token: str
    frame_id: str
    prediction_id: str | None
    model_version: str
    mode: Mode
    adjudicator: Login
    dimension: Dimension
    grade: Grade
    suggested: Suggestion | None = None
    criteria: tuple[str, ...] = ()
    error_types: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    settles: tuple[str, ...] = Field(description="the ReviewScores that disagreed")
    comment: Comment = ""
    reason: Comment = ""
    replaces: str | None = None
    seconds: Seconds | None = None
    client_id: str
    created_at: datetime = Field(default_factory=utc_now)

"""The tables, thin shells around the records: `payload` is a record's JSON, the other columns find it."""

from datetime import datetime
from typing import cast

from sqlalchemy import Table, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class AuditRow(SQLModel, table=True):
    """One link of the chain: every append-only row has exactly one."""

    __tablename__ = "audit"

    seq: int | None = Field(default=None, primary_key=True)
    kind: str
    record_id: str = Field(index=True)
    payload_sha256: str
    previous_hash: str
    hash: str


class FrameRow(SQLModel, table=True):
    """A version of what is known of a frame; the newest counts."""

    __tablename__ = "frame"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    frame_id: str = Field(index=True)
    payload: str = Field(sa_type=Text)


class FrameNameRow(SQLModel, table=True):
    """A name that a frame's content came under; the same content may come under several."""

    __tablename__ = "frame_name"
    __table_args__ = (UniqueConstraint("frame_id", "source", "source_file"),)

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    frame_id: str = Field(index=True)
    source: str
    source_file: str
    payload: str = Field(sa_type=Text)


class PredictionRow(SQLModel, table=True):
    """What a model said."""

    __tablename__ = "prediction"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    frame_id: str = Field(index=True)
    model_version: str = Field(index=True)
    payload: str = Field(sa_type=Text)


class CorrectionRow(SQLModel, table=True):
    """What a person, or a reference standard, said."""

    __tablename__ = "correction"
    __table_args__ = (UniqueConstraint("external_id", "external_updated_at"),)

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    frame_id: str = Field(index=True)
    reader: str = Field(index=True)
    is_truth: bool = Field(index=True)
    skipped: bool = False
    external_id: str | None = None
    external_updated_at: str | None = None
    payload: str = Field(sa_type=Text)


class ModelVersionRow(SQLModel, table=True):
    """A set of weights that predictions name."""

    __tablename__ = "model_version"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    payload: str = Field(sa_type=Text)


class JobRow(SQLModel, table=True):
    """One run of queued work; it changes while it runs, so it is not under the chain."""

    __tablename__ = "job"

    job_id: str = Field(primary_key=True)
    kind: str = Field(index=True)
    target: str = Field(index=True)
    state: str = Field(index=True)
    created_at: datetime
    updated_at: datetime


class JobItemRow(SQLModel, table=True):
    """One frame of a job: queued, running, done or failed, and why."""

    __tablename__ = "job_item"

    job_id: str = Field(primary_key=True, foreign_key="job.job_id")
    frame_id: str = Field(primary_key=True)
    position: int
    state: str = Field(index=True)
    attempts: int = 0
    reason: str | None = Field(default=None, sa_type=Text)
    seconds: float | None = None


class TaskLinkRow(SQLModel, table=True):
    """Which Label Studio task shows a frame."""

    __tablename__ = "task_link"

    project_id: int = Field(primary_key=True)
    frame_id: str = Field(primary_key=True)
    task_id: int = Field(index=True)


class PredictionLinkRow(SQLModel, table=True):
    """Which Label Studio prediction shows a Prediction."""

    __tablename__ = "prediction_link"

    project_id: int = Field(primary_key=True)
    ls_prediction_id: int = Field(primary_key=True)
    prediction_id: str = Field(index=True)


class WebhookRow(SQLModel, table=True):
    """An event of Label Studio, noted before it is answered and worked off afterwards."""

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("annotation_id", "updated_at", "action"),)

    seq: int | None = Field(default=None, primary_key=True)
    action: str
    annotation_id: int
    updated_at: str
    received_at: datetime
    state: str = Field(index=True)
    reason: str | None = Field(default=None, sa_type=Text)


class SettingRow(SQLModel, table=True):
    """A fact of the workspace that is neither secret nor a record, such as the connected project."""

    __tablename__ = "setting"

    key: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


class AccountRow(SQLModel, table=True):
    """A version of an account; the newest counts."""

    __tablename__ = "account"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    login: str = Field(index=True)
    payload: str = Field(sa_type=Text)


class StudyRow(SQLModel, table=True):
    """A version of a reader study; the newest counts."""

    __tablename__ = "study"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    study_id: str = Field(index=True)
    name: str = Field(index=True)
    payload: str = Field(sa_type=Text)


class ReviewScoreRow(SQLModel, table=True):
    """A grade; `client_id` makes a repeated request one row."""

    __tablename__ = "review_score"
    __table_args__ = (UniqueConstraint("reader", "client_id"),)

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    study_id: str = Field(index=True)
    token: str = Field(index=True)
    reader: str
    client_id: str
    payload: str = Field(sa_type=Text)


class StudyStepRow(SQLModel, table=True):
    """A step of a guided case."""

    __tablename__ = "study_step"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    study_id: str = Field(index=True)
    token: str = Field(index=True)
    step: str
    payload: str = Field(sa_type=Text)


class AdjudicationRow(SQLModel, table=True):
    """A grade of an adjudicator."""

    __tablename__ = "adjudication"
    __table_args__ = (UniqueConstraint("adjudicator", "client_id"),)

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    study_id: str = Field(index=True)
    token: str = Field(index=True)
    adjudicator: str
    client_id: str
    payload: str = Field(sa_type=Text)


class DatasetVersionRow(SQLModel, table=True):
    """A data set that left the tool."""

    __tablename__ = "dataset_version"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    payload: str = Field(sa_type=Text)


class LearningRow(SQLModel, table=True):
    """A decision of the learning loop: a promotion, a queue, its evidence, a step of the loop."""

    __tablename__ = "learning"

    seq: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(unique=True)
    kind: str = Field(index=True)
    payload: str = Field(sa_type=Text)


class TrainingRunRow(SQLModel, table=True):
    """One training; it changes while it runs, so it is not under the chain. `spec` is JSON."""

    __tablename__ = "training_run"

    run_id: str = Field(primary_key=True)
    backend: str = Field(index=True)
    spec: str = Field(sa_type=Text)
    state: str = Field(index=True)
    step: int = 0
    total: int = 0
    message: str = Field(default="", sa_type=Text)
    model_version: str | None = None
    cancel_asked: bool = False
    created_at: datetime
    updated_at: datetime


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a model: bulk inserts through it are some 17 times faster than through sessions."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]


AUDIT = table_of(AuditRow)
FRAMES = table_of(FrameRow)
FRAME_NAMES = table_of(FrameNameRow)
PREDICTIONS = table_of(PredictionRow)
CORRECTIONS = table_of(CorrectionRow)
MODEL_VERSIONS = table_of(ModelVersionRow)
JOBS = table_of(JobRow)
JOB_ITEMS = table_of(JobItemRow)
TASK_LINKS = table_of(TaskLinkRow)
PREDICTION_LINKS = table_of(PredictionLinkRow)
WEBHOOKS = table_of(WebhookRow)
SETTINGS = table_of(SettingRow)
ACCOUNTS = table_of(AccountRow)
STUDIES = table_of(StudyRow)
REVIEW_SCORES = table_of(ReviewScoreRow)
STUDY_STEPS = table_of(StudyStepRow)
ADJUDICATIONS = table_of(AdjudicationRow)
DATASET_VERSIONS = table_of(DatasetVersionRow)
LEARNING = table_of(LearningRow)
TRAINING_RUNS = table_of(TrainingRunRow)

# The append-only tables, each row of which has one link in the audit chain.
CHAINED = {
    "frame": FRAMES,
    "frame_name": FRAME_NAMES,
    "prediction": PREDICTIONS,
    "correction": CORRECTIONS,
    "model_version": MODEL_VERSIONS,
    "account": ACCOUNTS,
    "study": STUDIES,
    "review_score": REVIEW_SCORES,
    "study_step": STUDY_STEPS,
    "adjudication": ADJUDICATIONS,
    "dataset_version": DATASET_VERSIONS,
    "learning": LEARNING,
}

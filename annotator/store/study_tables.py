"""What a running study keeps and changes: plans, drafts, log-ins. None of it is under the chain."""

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from annotator.store.tables import table_of


class PresentationRow(SQLModel, table=True):
    """One case of one reader's plan: what the seed gives, kept for instant look-up, and whether it is done.

    `slots` is JSON, a list of [letter, model version, prediction id or null]; times are seconds since 1970, UTC.
    """

    __tablename__ = "presentation"
    __table_args__ = (
        UniqueConstraint("study_id", "reader", "sequence"),
        Index("ix_presentation_open", "study_id", "reader", "done", "sequence"),
    )

    token: str = Field(primary_key=True)
    study_id: str
    reader: str
    sequence: int
    period: int
    mode: str
    frame_id: str
    slots: str = Field(sa_type=Text)
    is_repeat: bool = False
    done: bool = False
    done_at: float | None = None


class DraftRow(SQLModel, table=True):
    """What a reader has typed of a case and not yet sent."""

    __tablename__ = "draft"

    token: str = Field(primary_key=True)
    payload: str = Field(sa_type=Text)
    updated_at: float


class LoginSessionRow(SQLModel, table=True):
    """Who is logged in: only the hash of a browser's secret is kept."""

    __tablename__ = "login_session"

    token_hash: str = Field(primary_key=True)
    login: str = Field(index=True)
    expires_at: float


class LoginFailureRow(SQLModel, table=True):
    """How often a password was wrong, by account and by address."""

    __tablename__ = "login_failure"

    key: str = Field(primary_key=True)
    failures: int
    last_at: float


PRESENTATIONS = table_of(PresentationRow)
DRAFTS = table_of(DraftRow)
LOGIN_SESSIONS = table_of(LoginSessionRow)
LOGIN_FAILURES = table_of(LoginFailureRow)

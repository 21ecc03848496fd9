"""Reader studies: accounts, studies, grades, steps, adjudications, plans, log-ins; and data set versions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _create_chained(name: str, *columns: str, unique: tuple[str, ...] = (), indexed: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        *(sa.Column(column, sa.String(), nullable=False) for column in columns),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("record_id"),
        *([sa.UniqueConstraint(*unique)] if unique else []),
    )
    for column in indexed:
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)


def upgrade() -> None:
    """Apply."""
    _create_chained("account", "login", indexed=("login",))
    _create_chained("study", "study_id", "name", indexed=("study_id", "name"))
    _create_chained(
        "review_score",
        *("study_id", "token", "reader", "client_id"),
        unique=("reader", "client_id"),
        indexed=("study_id", "token"),
    )
    _create_chained("study_step", "study_id", "token", "step", indexed=("study_id", "token"))
    _create_chained(
        "adjudication",
        *("study_id", "token", "adjudicator", "client_id"),
        unique=("adjudicator", "client_id"),
        indexed=("study_id", "token"),
    )
    _create_chained("dataset_version")
    op.create_table(
        "presentation",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("frame_id", sa.String(), nullable=False),
        sa.Column("slots", sa.Text(), nullable=False),
        sa.Column("is_repeat", sa.Boolean(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("token"),
        sa.UniqueConstraint("study_id", "reader", "sequence"),
    )
    op.create_index(
        "ix_presentation_open", "presentation", ["study_id", "reader", "done", "sequence"], unique=False
    )
    op.create_table(
        "draft",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_login_session_login"), "login_session", ["login"], unique=False)
    op.create_table(
        "login_failure",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )

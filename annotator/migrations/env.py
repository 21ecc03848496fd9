"""Alembic's entry: runs migrations on the database URL that the Store hands over."""

import sqlmodel
from alembic import context

from annotator.store import study_tables, tables
from annotator.store.engine import make_engine

REGISTERED = (tables, study_tables)  # importing them registers the tables

engine = make_engine(context.config.attributes["url"], writes=True)
with engine.begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=sqlmodel.SQLModel.metadata,
        render_as_batch=True,
        transactional_ddl=False,
    )
    context.run_migrations()
engine.dispose()

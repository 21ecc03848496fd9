"""Data set versions: appended when one is written, kept under the audit chain."""

from sqlalchemy import select

from annotator.datasets import DatasetVersion
from annotator.store.store import Store, append_records
from annotator.store.tables import DATASET_VERSIONS


def add_dataset_version(store: Store, version: DatasetVersion) -> bool:
    """Append a version unless it is known; tell whether it was new."""
    with store.writing() as connection:
        query = select(DATASET_VERSIONS.c.seq).where(DATASET_VERSIONS.c.record_id == version.dataset_id)
        if connection.execute(query).first() is not None:
            return False
        append_records(connection, "dataset_version", {version.dataset_id: version})
        return True


def dataset_versions(store: Store) -> list[DatasetVersion]:
    """Return all versions, oldest first."""
    query = select(DATASET_VERSIONS.c.payload).order_by(DATASET_VERSIONS.c.seq)
    with store.reading() as connection:
        return [DatasetVersion.model_validate_json(payload) for payload in connection.execute(query).scalars()]

"""What of ours is what in Label Studio, and the events it sent: notes that may be rebuilt from the server."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Table, bindparam, delete, insert, select, update

from annotator.schema import utc_now
from annotator.store.tables import PREDICTION_LINKS, SETTINGS, TASK_LINKS, WEBHOOKS

if TYPE_CHECKING:
    from annotator.store.store import Store


class Links:
    """Task and prediction links of one workspace, its webhook inbox and its small settings."""

    def __init__(self, store: "Store") -> None:
        """Use the database of `store`."""
        self._store = store

    def link_tasks(self, project_id: int, task_ids: Mapping[str, int]) -> None:
        """Note which task shows which frame (frame_id -> task_id), replacing older notes."""
        rows = [{"project_id": project_id, "frame_id": key, "task_id": value} for key, value in task_ids.items()]
        self._replace(TASK_LINKS, rows)

    def task_links(self, project_id: int) -> dict[str, int]:
        """Return frame_id -> task_id."""
        return {row.frame_id: row.task_id for row in self._rows(TASK_LINKS, project_id=project_id)}

    def link_predictions(self, project_id: int, prediction_ids: Mapping[int, str]) -> None:
        """Note which Label Studio prediction shows which Prediction (server id -> prediction_id)."""
        rows = [
            {"project_id": project_id, "ls_prediction_id": key, "prediction_id": value}
            for key, value in prediction_ids.items()
        ]
        self._replace(PREDICTION_LINKS, rows)

    def prediction_links(self, project_id: int) -> dict[int, str]:
        """Return server id -> prediction_id."""
        return {
            row.ls_prediction_id: row.prediction_id for row in self._rows(PREDICTION_LINKS, project_id=project_id)
        }

    def forget_project(self, project_id: int) -> None:
        """Drop the notes on a project that no longer exists on the server."""
        with self._store.writing() as connection:
            for table in (TASK_LINKS, PREDICTION_LINKS):
                connection.execute(delete(table).where(table.c.project_id == project_id))

    def setting(self, key: str) -> Any:
        """Return a JSON value noted under `key`, or None."""
        rows = self._rows(SETTINGS, key=key)
        return json.loads(rows[0].value) if rows else None

    def set_setting(self, key: str, value: Any) -> None:
        """Note a JSON value under `key`."""
        self._replace(SETTINGS, [{"key": key, "value": json.dumps(value)}])

    def receive_webhook(self, action: str, annotation_id: int, updated_at: str) -> bool:
        """Note an event, committed on return; False where the same one was noted before."""
        event = {"action": action, "annotation_id": annotation_id, "updated_at": updated_at}
        same = select(WEBHOOKS.c.seq).where(*(WEBHOOKS.c[key] == value for key, value in event.items()))
        with self._store.writing() as connection:
            if connection.execute(same).first() is not None:
                return False
            connection.execute(insert(WEBHOOKS), {**event, "received_at": utc_now(), "state": "queued"})
            return True

    def queued_webhooks(self, limit: int = 100) -> list[Row[Any]]:
        """Return the oldest events that wait: rows with seq, action, annotation_id, updated_at."""
        return self._rows(WEBHOOKS, limit=limit, state="queued")

    def finish_webhook(self, seq: int, *, reason: str | None = None) -> None:
        """Mark an event as done, or as failed for a reason."""
        state = "failed" if reason else "done"
        with self._store.writing() as connection:
            connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.seq == seq).values(state=state, reason=reason))

    def _rows(self, table: Table, *, limit: int | None = None, **equal: Any) -> list[Row[Any]]:
        query = select(table).where(*(table.c[key] == value for key, value in equal.items())).limit(limit)
        with self._store.reading() as connection:
            return list(connection.execute(query.order_by(*table.primary_key.columns)))

    def _replace(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write rows in place of those with the same primary key."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key.columns]
        same = delete(table).where(*(table.c[key] == bindparam(f"old_{key}") for key in keys))
        with self._store.writing() as connection:
            connection.execute(same, [{f"old_{key}": row[key] for key in keys} for row in rows])
            connection.execute(insert(table), rows)

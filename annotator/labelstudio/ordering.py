"""The queue in Label Studio: the next task of its label stream is the next one to label.

What decides there (1.23.2): "Sequential sampling" goes by task ids, which nobody can change, and an order of the
Data Manager holds in its own tab only. "Uncertainty sampling" takes, among the open tasks with a prediction of the
project's model version, the one with the lowest score; where several people annotate, it draws among those. So
each queued frame gets one more prediction row under "<version> (queue ...)": the same regions with the same scores,
and as the row's score its place in the queue. The project shows that version until the queue is worked off.
A task that somebody has opened in the stream stays theirs, whatever the queue says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.files import exclusive_lock
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import connected_project
from annotator.labelstudio.links import is_of_queue, plain_version, queued_version
from annotator.labelstudio.push import PREDICTION_CHUNK, remove_uncorrected
from annotator.labelstudio.regions import prediction_to_result
from annotator.schema import Prediction
from annotator.store import Links, Store
from annotator.store.versions import unpromoted_versions

BY_SCORE, BY_ID = "Uncertainty sampling", "Sequential sampling"
NO_MODEL = "no model"
LOOK_AGAIN = "Look again"
_NOTE = "labelstudio.queue"


@dataclass
class QueueReport:
    """What became of a queue: frames without a task there are left out, `refused` counts rows that it dropped."""

    project_id: int
    queued: int = 0
    without_task: list[str] = field(default_factory=list)
    refused: int = 0
    removed: int = 0


def push_queue(store: Store, client: Client, queue_id: str, frame_ids: Sequence[str]) -> QueueReport:
    """Make `frame_ids` the next tasks of the label stream, in this order, in place of any queue before.

    LabelStudioError where the server is away or no project is connected, JobError where a push is running. Killed
    in between, the queue before holds until it is done again.
    """
    report = QueueReport(connected_project(store))
    with exclusive_lock(store.workspace / "locks" / "push.lock", "push"):
        task_of = Links(store).task_links(report.project_id)
        report.without_task = [frame_id for frame_id in frame_ids if frame_id not in task_of]
        placed = [frame_id for frame_id in frame_ids if frame_id in task_of]
        before = [row for row in client.predictions(report.project_id) if is_of_queue(row)]
        shown = _send(store, client, report, queue_id, placed, before)
        if shown is not None:
            body = {"sampling": BY_SCORE, "model_version": shown}
            client.patch(f"/api/projects/{report.project_id}/", body)
            Links(store).set_setting(_NOTE, {"project_id": report.project_id, "frames": placed})
        stale = [int(row["id"]) for row in before if row["model_version"] != shown]
        report.removed = remove_uncorrected(client, report.project_id, stale)
    return report


def retire_queue(store: Store, client: Client) -> bool:
    """Have Label Studio show the plain predictions, by id, once each queued frame was corrected or skipped.

    Tell whether it was done now; else the label stream would go on at random, without predictions.
    """
    noted = Links(store).setting(_NOTE)
    if not noted:
        return False
    answered = {said.frame_id for said in store.newest_of_readers()}
    if not answered.issuperset(noted["frames"]):
        return False
    project = f"/api/projects/{noted['project_id']}/"
    shown = client.get(project)["model_version"] or ""
    plain = plain_version(shown)
    if plain not in (shown, NO_MODEL):
        client.patch(project, {"sampling": BY_ID, "model_version": plain})
    Links(store).set_setting(_NOTE, None)
    return True


def show_again(store: Store, client: Client, frame_ids: Sequence[str]) -> int:
    """List labelled frames in a tab of their own, since the label stream never shows them again; count them."""
    project_id = connected_project(store)
    task_of = Links(store).task_links(project_id)
    tasks = [task_of[frame_id] for frame_id in frame_ids if frame_id in task_of]
    items = [
        {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": task_id} for task_id in tasks
    ]
    data = {
        "title": LOOK_AGAIN,
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "or", "items": items},
    }
    tabs = client.get("/api/dm/views/", params={"project": project_id})
    known = [tab["id"] for tab in tabs if (tab.get("data") or {}).get("title") == LOOK_AGAIN]
    if known:
        client.patch(f"/api/dm/views/{known[0]}/", {"project": project_id, "data": data})
    elif items:
        client.post("/api/dm/views/", {"project": project_id, "data": data})
    return len(tasks)


def _send(
    store: Store,
    client: Client,
    report: QueueReport,
    queue_id: str,
    frame_ids: Sequence[str],
    before: Sequence[dict[str, Any]],
) -> str | None:
    """Send the rows of a queue and link them; return the version that shows them, None where there are none."""
    if not frame_ids:
        return None
    task_of = Links(store).task_links(report.project_id)
    newest = store.newest_predictions(frame_ids=list(frame_ids), without=unpromoted_versions(store))
    said = {item.frame_id: item for item in newest}
    versions = [said[frame_id].model_version for frame_id in frame_ids if frame_id in said]
    shown = queued_version(versions[0] if versions else NO_MODEL, queue_id[-8:])
    have = {row["task"] for row in before if row["model_version"] == shown}
    rows = [
        _row(store, said.get(frame_id), task_of[frame_id], shown, (place + 1) / (len(frame_ids) + 1))
        for place, frame_id in enumerate(frame_ids)
        if task_of[frame_id] not in have
    ]
    for start in range(0, len(rows), PREDICTION_CHUNK):
        client.import_predictions(report.project_id, rows[start : start + PREDICTION_CHUNK])
    frame_of = {task_of[frame_id]: frame_id for frame_id in frame_ids}
    made = {
        int(row["id"]): frame_of[row["task"]]
        for row in client.predictions(report.project_id)
        if row["model_version"] == shown and row["task"] in frame_of
    }
    links = {row_id: said[frame_id].prediction_id for row_id, frame_id in made.items() if frame_id in said}
    Links(store).link_predictions(report.project_id, links)
    report.queued, report.refused = len(made), len(frame_ids) - len(made)
    return shown if made else None


def _row(store: Store, said: Prediction | None, task_id: int, shown: str, score: float) -> dict[str, Any]:
    frame = store.frame(said.frame_id) if said else None
    result = prediction_to_result(said, frame) if said and frame else []
    return {"task": task_id, "result": result, "score": score, "model_version": shown}

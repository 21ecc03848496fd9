"""Frames to tasks and predictions to their rows, in bulk, counted back; repeating it changes nothing.

The server is always asked first what it has, so that a push that was killed between the server's answer and our
note of it neither loses nor doubles anything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.errors import LabelStudioError
from annotator.files import exclusive_lock
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import connected_project
from annotator.labelstudio.links import is_of_queue, plain_version, relink_rows
from annotator.labelstudio.regions import prediction_to_result
from annotator.labelstudio.tasks import frame_id_from_task, task_data
from annotator.schema import Frame, Prediction
from annotator.store import Links, Store
from annotator.store.versions import unpromoted_versions

TASK_CHUNK = 1000
PREDICTION_CHUNK = 250

Progress = Callable[[str, int, int], None]


@dataclass
class PushReport:
    """What a push did, and what is on the server now."""

    project_id: int
    tasks_made: int = 0
    tasks_on_server: int = 0
    predictions_sent: int = 0
    predictions_on_server: int = 0
    predictions_replaced: int = 0
    double_tasks: int = 0
    refused: list[str] = field(default_factory=list)


def push(
    store: Store,
    client: Client,
    *,
    backend: str | None = None,
    split: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> PushReport:
    """Bring every frame (of `split`) and its newest prediction (by `backend`) to the connected project.

    LabelStudioError where the server is away or refuses, JobError where another push is running. What was made
    stays, and the next push goes on from there; what the server dropped is in `refused`, with the reason.
    """
    report = PushReport(connected_project(store))
    with exclusive_lock(store.workspace / "locks" / "push.lock", "push"):
        _push(store, client, report, backend, split, progress)
    return report


def _push(
    store: Store, client: Client, report: PushReport, backend: str | None, split: str | None, progress: Progress
) -> None:
    frames = {frame.frame_id: frame for frame in store.frames(split=split)}
    task_of = _push_tasks(store, client, report, frames, progress)
    hidden = unpromoted_versions(store)
    newest = (
        store.newest_predictions(without=hidden)
        if backend is None
        else store.predictions_by(backend=backend, without=hidden)
    )
    wanted = {item.prediction_id: item for item in newest if item.frame_id in frames}
    rows = _own_rows(client, report.project_id)
    shown = relink_rows(store, report.project_id, rows)
    known = set(shown.values())
    missing = [item for key, item in wanted.items() if key not in known]
    if missing:
        _send_predictions(client, report, missing, frames, task_of, progress)
        rows = _own_rows(client, report.project_id)
        shown = relink_rows(store, report.project_id, rows)
    stale = _stale_rows(rows, shown, wanted, task_of)
    report.predictions_replaced = remove_uncorrected(client, report.project_id, stale)
    report.predictions_on_server = len(shown) - report.predictions_replaced
    if wanted:
        _show_newest(client, report.project_id, next(reversed(wanted.values())).model_version)


def push_one(store: Store, client: Client, prediction: Prediction) -> str:
    """Bring one prediction to the task of its frame, made where there is none; return the task's address."""
    project_id = connected_project(store)
    report, links = PushReport(project_id), Links(store)
    frame = store.frame(prediction.frame_id)
    if frame is None:
        raise LabelStudioError(f"frame {prediction.frame_id} is not in the store")
    frames = {frame.frame_id: frame}
    task_of = links.task_links(project_id)
    if frame.frame_id not in task_of:
        task_of = _push_tasks(store, client, report, frames, lambda what, done, total: None)
    rows = client.predictions(project_id, task_id=task_of[frame.frame_id])
    if prediction.prediction_id not in relink_rows(store, project_id, rows).values():
        _send_predictions(client, report, [prediction], frames, task_of, lambda what, done, total: None)
    if report.refused:
        raise LabelStudioError(f"Label Studio did not take the prediction: {report.refused[0]}")
    return f"{client.url}/projects/{project_id}/data?task={task_of[frame.frame_id]}"


def _push_tasks(
    store: Store, client: Client, report: PushReport, frames: dict[str, Frame], progress: Progress
) -> dict[str, int]:
    """Make the tasks that the server lacks; return frame_id -> task_id for all of them."""
    links = Links(store)
    task_of = _tasks_on_server(client, report)
    _note_tasks(links, report.project_id, task_of)
    missing = [frame for frame_id, frame in frames.items() if frame_id not in task_of]
    for chunk in _chunks(missing, TASK_CHUNK):
        made = client.import_tasks(report.project_id, [{"data": task_data(frame)} for frame in chunk])
        fresh = {frame.frame_id: task_id for frame, task_id in zip(chunk, made, strict=True)}
        links.link_tasks(report.project_id, fresh)
        task_of |= fresh
        report.tasks_made += len(fresh)
        progress("tasks", report.tasks_made, len(missing))
    report.tasks_on_server = len(task_of)
    return task_of


def _tasks_on_server(client: Client, report: PushReport) -> dict[str, int]:
    """Ask the server which task shows which frame; of doubles the oldest counts."""
    task_of: dict[str, int] = {}
    for task in client.tasks(report.project_id):
        frame_id = frame_id_from_task(task)
        if frame_id is not None:
            report.double_tasks += frame_id in task_of
            task_of.setdefault(frame_id, int(task["id"]))
    return task_of


def _note_tasks(links: Links, project_id: int, task_of: dict[str, int]) -> None:
    noted = links.task_links(project_id)
    links.link_tasks(project_id, {key: value for key, value in task_of.items() if noted.get(key) != value})


def _send_predictions(
    client: Client,
    report: PushReport,
    missing: Sequence[Prediction],
    frames: dict[str, Frame],
    task_of: dict[str, int],
    progress: Progress,
) -> None:
    for start in range(0, len(missing), PREDICTION_CHUNK):
        chunk = missing[start : start + PREDICTION_CHUNK]
        rows = [_prediction_row(item, frames[item.frame_id], task_of[item.frame_id]) for item in chunk]
        made = client.import_predictions(report.project_id, rows)
        report.predictions_sent += made
        if made != len(rows):
            report.refused += _refused(client, report.project_id, rows)
        progress("predictions", start + len(chunk), len(missing))


def _prediction_row(prediction: Prediction, frame: Frame, task_id: int) -> dict[str, Any]:
    return {
        "task": task_id,
        "result": prediction_to_result(prediction, frame),
        "score": prediction.score,
        "model_version": prediction.model_version,
    }


def _refused(client: Client, project_id: int, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The server drops what it does not like without a word; its SDK's check of the same config says why."""
    from label_studio_sdk.label_interface.interface import LabelInterface

    interface: Any = LabelInterface(client.get(f"/api/projects/{project_id}/")["label_config"])
    errors = {row["task"]: interface.validate_prediction(row, return_errors=True) for row in rows}
    told = [
        f"task {task_id}: {' '.join(str(found[0]).split())[:200]}" for task_id, found in errors.items() if found
    ]
    return told or [f"it made fewer than the {len(rows)} sent and gives no reason"]


def _own_rows(client: Client, project_id: int) -> list[dict[str, Any]]:
    """The project's prediction rows, but for those that only repeat one for the sake of the queue."""
    return [row for row in client.predictions(project_id) if not is_of_queue(row)]


def _stale_rows(
    rows: Sequence[dict[str, Any]],
    shown: dict[int, str],
    wanted: dict[str, Prediction],
    task_of: dict[str, int],
) -> list[int]:
    """Rows of ours that show what the same model said before of the same frame, or what an older row shows already.

    Doubles come from Label Studio itself, when it asks the ML backend while predictions are pushed.
    """
    current = {(task_of[item.frame_id], item.model_version) for item in wanted.values()}
    stale, seen = [], set()
    for row in sorted(rows, key=lambda row: int(row["id"])):
        key = shown.get(row["id"])
        if key is None:
            continue
        is_superseded = key not in wanted and (row["task"], row["model_version"]) in current
        if is_superseded or key in seen:
            stale.append(int(row["id"]))
        seen.add(key)
    return stale


def remove_uncorrected(client: Client, project_id: int, row_ids: Sequence[int]) -> int:
    """Remove rows, but none that a reader has corrected: their annotation refers to it. Return how many."""
    if not row_ids:
        return 0
    annotated = [int(task["id"]) for task in client.tasks(project_id, "id", annotated=True)]
    corrected: set[int] = set()
    for chunk in _chunks(annotated, 100):
        for task in client.annotated_tasks(project_id, chunk):
            corrected |= {
                int(one["parent_prediction"]) for one in task["annotations"] if one.get("parent_prediction")
            }
    free = [row_id for row_id in row_ids if row_id not in corrected]
    for row_id in free:
        client.delete_prediction(row_id)
    return len(free)


def _show_newest(client: Client, project_id: int, model_version: str) -> None:
    """Have Label Studio show the predictions of the model that was pushed last; a queue of them stays in order."""
    project = f"/api/projects/{project_id}/"
    if plain_version(client.get(project)["model_version"] or "") != model_version:
        client.patch(project, {"model_version": model_version})


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))

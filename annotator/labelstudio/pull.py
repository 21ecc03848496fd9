"""Annotations in, as Corrections: only what changed since the last pull, each once, one bad one never stops others.

For every annotated task the last seen (time, counts) is noted after its corrections are committed; a pull that is
killed in between reads that batch again, and the store leaves out what it has.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from annotator.errors import AnnotatorError, LabelStudioError
from annotator.labelstudio.client import Client, NotFoundError
from annotator.labelstudio.connect import connected_project
from annotator.labelstudio.diff import correction_from_annotation
from annotator.labelstudio.links import finding_ids, match_rows
from annotator.labelstudio.tasks import frame_id_from_task
from annotator.schema import Change, Correction, ParseIssue, Prediction
from annotator.store import Links, Store

BATCH = 100

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Problem:
    """Something of one annotation that could not be used; the rest of it, and the others, went on."""

    annotation_id: int
    reason: str
    excerpt: str = ""


@dataclass
class PullReport:
    """What a pull found: new corrections, the regions in them, and what it could not use."""

    project_id: int
    annotations_read: int = 0
    corrections_new: int = 0
    skipped: int = 0
    regions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    deleted_on_server: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return asdict(self)


@dataclass
class _Context:
    """What turning annotations into corrections needs, fetched once a pull."""

    store: Store
    client: Client
    project_id: int
    readers: Mapping[int, str]
    predictions: dict[int, str]


def _context(store: Store, client: Client, project_id: int) -> _Context:
    predictions = Links(store).prediction_links(project_id)
    return _Context(store, client, project_id, client.user_names(), predictions)


def pull(store: Store, client: Client, *, progress: Progress = lambda what, done, total: None) -> PullReport:
    """Read every annotation that is new or was changed; commit each batch of tasks in one transaction.

    Corrections whose annotation is gone from the server stay, since a person made them, and are reported once.
    """
    project_id = connected_project(store)
    report = PullReport(project_id)
    seen = _Seen(Links(store), project_id)
    now = _task_states(client, project_id)
    report.deleted_on_server += seen.forget_all_but(now)
    changed = [task_id for task_id, state in now.items() if seen.is_news(task_id, state)]
    if changed:
        context = _context(store, client, project_id)
        for start in range(0, len(changed), BATCH):
            chunk = changed[start : start + BATCH]
            found = _pull_batch(context, chunk, report)
            for task_id in chunk:
                report.deleted_on_server += seen.note(task_id, now[task_id], found.get(task_id, []))
            seen.save()
            progress("tasks", start + len(chunk), len(changed))
    seen.save()
    return report


def pull_one(store: Store, client: Client, annotation_id: int) -> PullReport:
    """Read one annotation, as a webhook names it; LabelStudioError where it is gone or not of our project."""
    project_id = connected_project(store)
    report = PullReport(project_id)
    annotation = client.annotation(annotation_id)
    task = client.task(int(annotation["task"]))
    if task.get("project") != project_id:
        raise LabelStudioError(f"annotation {annotation_id} belongs to another project than {project_id}")
    context = _context(store, client, project_id)
    _take_in(context, list(_corrections_of(context, {**task, "annotations": [annotation]}, report)), report)
    return report


class _Seen:
    """For each task: the state that the last pull saw (time and counts), and its annotations."""

    def __init__(self, links: Links, project_id: int) -> None:
        self._links = links
        self._key = f"labelstudio.seen.{project_id}"
        self._tasks: dict[str, dict[str, Any]] = links.setting(self._key) or {}
        self._is_saved = True

    def is_news(self, task_id: int, state: str) -> bool:
        """Tell whether an annotated task was touched since."""
        noted = self._tasks.get(str(task_id))
        return noted is None or noted["state"] != state

    def note(self, task_id: int, state: str, annotation_ids: list[str]) -> list[str]:
        """Note what was read now; return the annotations that were there before and are not any more."""
        before = self._tasks.get(str(task_id), {"annotations": []})["annotations"]
        self._tasks[str(task_id)] = {"state": state, "annotations": annotation_ids}
        self._is_saved = False
        return [one for one in before if one not in annotation_ids]

    def forget_all_but(self, task_ids: Mapping[int, str]) -> list[str]:
        """Forget tasks that have no annotations any more; return those that they had."""
        gone = [key for key in self._tasks if int(key) not in task_ids]
        self._is_saved = self._is_saved and not gone
        return [one for key in gone for one in self._tasks.pop(key)["annotations"]]

    def save(self) -> None:
        """Commit the notes."""
        if not self._is_saved:
            self._links.set_setting(self._key, self._tasks)
            self._is_saved = True


def _task_states(client: Client, project_id: int) -> dict[int, str]:
    """Return annotated task id -> time and counts: bulk actions change counts without touching the time."""
    fields = ("updated_at", "total_annotations", "cancelled_annotations")
    tasks = client.tasks(project_id, ",".join(("id", *fields)), annotated=True)
    return {int(task["id"]): "|".join(str(task.get(name)) for name in fields) for task in tasks}


def _pull_batch(context: _Context, task_ids: Sequence[int], report: PullReport) -> dict[int, list[str]]:
    """Read and commit the annotations of some tasks; return task id -> its annotation ids."""
    corrections: list[Correction] = []
    found = {}
    for task in context.client.annotated_tasks(context.project_id, task_ids):
        found[int(task["id"])] = [str(one.get("id")) for one in task["annotations"]]
        corrections += _corrections_of(context, task, report)
    _take_in(context, corrections, report)
    return found


def _take_in(context: _Context, corrections: Sequence[Correction], report: PullReport) -> None:
    report.corrections_new += context.store.add_corrections(corrections)


def _corrections_of(context: _Context, task: Mapping[str, Any], report: PullReport) -> Iterator[Correction]:
    """Turn the annotations of a task into corrections; each failure is a problem of that annotation alone."""
    frame_id = frame_id_from_task(task)
    frame = context.store.frame(frame_id) if frame_id else None
    for annotation in task["annotations"]:
        report.annotations_read += 1
        annotation_id = int(annotation.get("id") or 0)
        if frame is None:
            reason = f"task {task.get('id')} shows no frame of this workspace"
            report.problems.append(Problem(annotation_id, reason))
            continue
        try:
            parent = _parent(context, annotation, task, frame.frame_id)
            correction, issues = correction_from_annotation(annotation, frame, parent, _reader(context, annotation))
        except (AnnotatorError, ValueError) as error:
            report.problems.append(Problem(annotation_id, " ".join(str(error).split())))
            continue
        _count(report, annotation_id, correction, issues)
        yield correction


def _count(report: PullReport, annotation_id: int, correction: Correction, issues: Sequence[ParseIssue]) -> None:
    report.problems += [Problem(annotation_id, issue.reason, issue.excerpt) for issue in issues]
    report.skipped += correction.skipped
    for change in correction.changes.values():
        report.regions[change] += 1


def _parent(
    context: _Context, annotation: Mapping[str, Any], task: Mapping[str, Any], frame_id: str
) -> Prediction | None:
    """Find the prediction an annotation was made from: by the link of the server, else by its regions."""
    row_id = annotation.get("parent_prediction")
    if not isinstance(row_id, int):
        key = _shown_by(context, {"id": 0, "result": annotation.get("result")}, task, frame_id)
    elif row_id not in context.predictions:
        row = {"id": row_id, "result": annotation.get("result")}
        with suppress(NotFoundError):
            row = context.client.prediction(row_id)
        key = _shown_by(context, row, task, frame_id)
        if key is not None:
            context.predictions[row_id] = key
            Links(context.store).link_predictions(context.project_id, {row_id: key})
    else:
        key = context.predictions[row_id]
    return context.store.prediction(key) if key else None


def _shown_by(context: _Context, row: Mapping[str, Any], task: Mapping[str, Any], frame_id: str) -> str | None:
    """Return the id of the Prediction whose regions a row, or an annotation made from it, holds."""
    if row["id"] == 0 and not finding_ids(row["result"]):
        return None
    task_id = int(task["id"])
    return match_rows(context.store, [{**row, "task": task_id}], {task_id: frame_id}).get(row["id"])


def _reader(context: _Context, annotation: Mapping[str, Any]) -> str:
    """Return the e-mail address of whoever completed an annotation."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        return str(who.get("email") or who.get("id") or "unknown")
    return context.readers.get(who, f"user-{who}") if isinstance(who, int) else "unknown"

"""The loop with a workspace's own Label Studio: connect, push, pull, status; each opens its own connection."""

from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotator.errors import LabelStudioError
from annotator.labelstudio import connect as connecting
from annotator.labelstudio import process, pull, push
from annotator.labelstudio.client import NotFoundError
from annotator.labelstudio.connect import BackendAddress, Connected, open_client
from annotator.store import Links, Store
from annotator.taxonomy import Group

Progress = Callable[[str, int, int], None]


def _quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def connect_workspace(
    store: Store,
    workspace: Path,
    *,
    backend: BackendAddress | None = None,
    groups: Collection[Group] | None = None,
    title: str = connecting.PROJECT_TITLE,
) -> Connected:
    """Make or mend the project, its labelling interface, image storage, ML backend and webhook."""
    with open_client(workspace) as client:
        return connecting.connect(store, client, title=title, groups=groups, backend=backend)


def push_workspace(
    store: Store,
    workspace: Path,
    *,
    backend: str | None = None,
    split: str | None = None,
    progress: Progress = _quiet,
) -> push.PushReport:
    """Send frames as tasks, and their newest predictions."""
    with open_client(workspace) as client:
        return push.push(store, client, backend=backend, split=split, progress=progress)


def pull_workspace(store: Store, workspace: Path, *, progress: Progress = _quiet) -> pull.PullReport:
    """Fetch what was corrected since the last time."""
    with open_client(workspace) as client:
        return pull.pull(store, client, progress=progress)


def pull_one(store: Store, workspace: Path, annotation_id: int) -> str | None:
    """Fetch the annotation that a webhook named; return why it could not be used, or None.

    LabelStudioError only where the server is away, so that the event can wait.
    """
    with open_client(workspace) as client:
        try:
            report = pull.pull_one(store, client, annotation_id)
        except NotFoundError:
            return f"annotation {annotation_id} is not on the server any more"
    return "; ".join(problem.reason for problem in report.problems) or None


def status_of_workspace(store: Store, workspace: Path) -> dict[str, Any]:
    """Return how the server stands and what is in the connected project, as plain JSON."""
    server = process.status(workspace)
    found: dict[str, Any] = {**asdict(server), "log": str(server.log), "project": None}
    noted = Links(store).setting(connecting.SETTING)
    if not server.healthy or not noted:
        return found
    try:
        with open_client(workspace) as client:
            project = client.get(f"/api/projects/{noted['project_id']}/")
    except LabelStudioError as error:
        return {**found, "problem": str(error)}
    counts = {
        "tasks": project["task_number"],
        "predictions": project["total_predictions_number"],
        "annotations": project["total_annotations_number"],
        "skipped": project["skipped_annotations_number"],
    }
    url = f"{server.url}/projects/{project['id']}/data"
    return {**found, "project": {"id": project["id"], "title": project["title"], "url": url, **counts}}

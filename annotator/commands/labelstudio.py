"""`annotator labelstudio ...`: the server, the project, and the way to and fro."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotator.cli import Result
from annotator.commands.backend_login import backend_login
from annotator.commands.workspace import opened, progress, say
from annotator.errors import InputError
from annotator.labelstudio import connect as connecting
from annotator.labelstudio import credentials, environment, process
from annotator.labelstudio import pull as pulling
from annotator.labelstudio import push as pushing
from annotator.settings import read_settings
from annotator.store import Store


def install(workspace: Path) -> Result:
    """Install the pinned version, unless it is there."""
    folder = read_settings().labelstudio_env
    fresh = environment.install(folder, say)
    version = environment.installed_version(folder)
    text = f"Label Studio {version} {'installed' if fresh else 'is installed already'} in {folder}"
    return Result({"installed": fresh, "version": version, "folder": str(folder)}, text)


def start(workspace: Path, port: int | None) -> Result:
    """Start the server of this workspace, unless it runs."""
    settings = read_settings()
    server = process.start(workspace, settings.labelstudio_env, port or settings.labelstudio_port, say)
    login = credentials.load(workspace)
    document = {
        "url": server.url,
        "username": login.username,
        "credentials_file": str(credentials.path_of(workspace)),
        "already_running": server.already_running,
        "log": str(server.log),
    }
    text = f"Label Studio is on {server.url}; login {login.username}, password in {credentials.path_of(workspace)}"
    return Result(document, text)


def stop(workspace: Path) -> Result:
    """Stop the server of this workspace."""
    stopped = process.stop(workspace)
    return Result({"stopped": stopped}, "Label Studio stopped" if stopped else "Label Studio was not running")


def connect(workspace: Path, backend_url: str | None, no_backend: bool) -> Result:
    """Make or mend the project, its storage and its ML backend."""
    if backend_url and no_backend:
        raise InputError("--backend-url and --no-backend exclude each other")
    settings = read_settings()
    url = None if no_backend else backend_url or f"http://127.0.0.1:{settings.backend_port}"
    with opened(workspace, settings) as store:
        connected = connect_workspace(store, url)
    document = {
        "project": connected.project_id,
        "project_url": connected.project_url,
        "ml_backend": url,
        "changes": connected.changes,
    }
    changes = "; ".join(connected.changes) or "everything was in place already"
    return Result(document, f"project {connected.project_url}: {changes}")


def connect_workspace(store: Store, backend_url: str | None) -> connecting.Connected:
    """Connect a workspace's store to its server, and to the ML backend at `backend_url` where there is one."""
    backend = None
    if backend_url is not None:
        login = backend_login(store.workspace)
        backend = connecting.BackendAddress(backend_url, login.username, login.password)
    with connecting.open_client(store.workspace) as client:
        return connecting.connect(store, client, backend=backend)


def push(workspace: Path, split: str | None, backend: str | None) -> Result:
    """Bring frames and their newest predictions to the project."""
    with opened(workspace) as store, connecting.open_client(workspace) as client, _Progress() as bar:
        report = pushing.push(store, client, backend=backend, split=split, progress=bar)
    lines = [
        f"{report.tasks_made} tasks made, {report.tasks_on_server} on the server",
        f"{report.predictions_sent} predictions sent, {report.predictions_on_server} on the server",
        *report.refused,
    ]
    return Result(asdict(report), "\n".join(lines), exit_code=1 if report.refused else 0)


def pull(workspace: Path) -> Result:
    """Fetch new and changed annotations as corrections."""
    with opened(workspace) as store, connecting.open_client(workspace) as client, _Progress() as bar:
        report = pulling.pull(store, client, progress=bar)
    regions = ", ".join(f"{count} {change}" for change, count in report.regions.items())
    lines = [f"{report.corrections_new} new corrections of {report.annotations_read} annotations read; {regions}"]
    if report.skipped:
        lines.append(f"{report.skipped} frames were skipped by the reader")
    lines += [f"  annotation {problem.annotation_id}: {problem.reason}" for problem in report.problems]
    lines += [
        f"  annotation {one} was deleted in Label Studio; it is kept here" for one in report.deleted_on_server
    ]
    return Result(report.as_json(), "\n".join(lines))


def status(workspace: Path) -> Result:
    """Say whether the server runs and what is in the project."""
    server = process.status(workspace)
    document: dict[str, Any] = {"url": server.url, "running": server.running, "healthy": server.healthy}
    lines = [f"Label Studio is {'running on ' + server.url if server.running else 'not running'}"]
    if server.healthy:
        with opened(workspace) as store, connecting.open_client(workspace) as client:
            project_id = connecting.connected_project(store)
            project = client.get(f"/api/projects/{project_id}/")
        keys = ("task_number", "total_predictions_number", "total_annotations_number")
        document |= {"project": project_id, **{key: project.get(key) for key in keys}}
        lines += [f"project {project_id}: " + ", ".join(f"{project.get(key)} {key}" for key in keys)]
    return Result(document, "\n".join(lines))


class _Progress:
    """Shows `(what, done, total)` as one progress bar for each thing that is counted."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def _show(self, what: str, done: int, total: int) -> None:
        bar = self._bars.setdefault(what, None) or progress(total, what, "item")
        self._bars[what] = bar
        bar.update(done - bar.n)

"""Tie a workspace to its Label Studio: project, labelling interface, image storage, ML backend. Repeatable."""

import base64
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import LabelStudioError
from annotator.labelstudio import credentials, process
from annotator.labelstudio.client import Client, NotFoundError
from annotator.labelstudio.config import labelling_config
from annotator.store import Links, Store
from annotator.taxonomy import Group

PROJECT_TITLE = "Fetal ultrasound"
BACKEND_TITLE = "FADA"
SETTING = "labelstudio"
_CONNECTED = "CO"
_INSTRUCTION = (
    "<p>Check the outlines of the model: move, relabel, delete or add, choose the plane, then Submit. "
    "An ellipse on the head is its outer skull (HC). Skip a frame that cannot be judged.</p>"
    "<p>Research software - not for clinical use.</p>"
)
_PROJECT_SETTINGS: dict[str, Any] = {
    "expert_instruction": _INSTRUCTION,
    "show_collab_predictions": True,
    "enable_empty_annotation": True,  # a frame with nothing on it is an answer too
    "show_skip_button": True,
    "evaluate_predictions_automatically": False,
}


@dataclass(frozen=True)
class BackendAddress:
    """Where our ML backend listens and how Label Studio logs in there."""

    url: str
    username: str
    password: str = field(repr=False)


@dataclass
class Connected:
    """What is connected to what, and what was done to get there."""

    project_id: int
    url: str
    storage_id: int
    backend_id: int | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def project_url(self) -> str:
        """Return the address of the project's page."""
        return f"{self.url}/projects/{self.project_id}/data"


def open_client(workspace: Path) -> Client:
    """Return a client of the workspace's server; LabelStudioError where it was never started."""
    login = credentials.load(workspace)
    return Client(process.status(workspace, ask=False).url, login.token)


def connect(
    store: Store,
    client: Client,
    *,
    title: str = PROJECT_TITLE,
    groups: Collection[Group] | None = None,
    backend: BackendAddress | None = None,
) -> Connected:
    """Find or make everything the loop needs on the server; what is right already is left alone.

    LabelStudioError where the server is away or refuses, or the ML backend does not answer it.
    """
    changes: list[str] = []
    client.whoami()
    project_id = _ensure_project(store, client, title, groups, changes)
    storage_id = _ensure_storage(store, client, project_id, changes)
    connected = Connected(project_id, client.url, storage_id, changes=changes)
    Links(store).set_setting(SETTING, {"project_id": project_id, "title": title})
    if backend is not None:
        connected.backend_id = _ensure_backend(client, project_id, backend, changes)
        _secure_webhook(client, project_id, backend, changes)
    return connected


def connected_project(store: Store) -> int:
    """Return the id of the connected project; LabelStudioError where `connect` was never run."""
    noted = Links(store).setting(SETTING)
    if not noted:
        raise LabelStudioError("no Label Studio project yet; run `annotator labelstudio connect`")
    return int(noted["project_id"])


def _ensure_project(
    store: Store, client: Client, title: str, groups: Collection[Group] | None, changes: list[str]
) -> int:
    config = labelling_config(groups)
    noted = Links(store).setting(SETTING) or {}
    project = _noted_project(client, noted) or _project_titled(client, title)
    if noted and (project is None or project.id != noted["project_id"]):
        Links(store).forget_project(noted["project_id"])
    with client.calling("the project"):
        if project is None:
            made: Any = client.sdk.projects.create(title=title, label_config=config, **_PROJECT_SETTINGS)
            changes.append(f"project {made.id} made")
            return int(made.id)
        if project.label_config != config:
            client.sdk.projects.update(project.id, label_config=config, **_PROJECT_SETTINGS)
            changes.append("labelling interface updated")
        return int(project.id)


def _noted_project(client: Client, noted: dict[str, Any]) -> Any:
    if "project_id" not in noted:
        return None
    try:
        with client.calling("the project"):
            return client.sdk.projects.get(noted["project_id"])
    except NotFoundError:
        return None


def _project_titled(client: Client, title: str) -> Any:
    with client.calling("the list of projects"):
        listed: Any = client.sdk.projects.list()
        found = [project.id for project in listed if project.title == title]
        return client.sdk.projects.get(min(found)) if found else None


def _ensure_storage(store: Store, client: Client, project_id: int, changes: list[str]) -> int:
    """A storage over the images permits their being served; never synchronised, it makes no tasks."""
    path = str(store.images.absolute())
    with client.calling("the local storage"):
        storages = client.sdk.import_storage.local.list(project=project_id)
        ours = sorted(int(storage.id) for storage in storages if storage.id and storage.path == path)
        for double in ours[1:]:
            client.sdk.import_storage.local.delete(double)
            changes.append(f"second storage {double} removed")
        if ours:
            return int(ours[0])
        made: Any = client.sdk.import_storage.local.create(
            project=project_id,
            path=path,
            title="Frames of the workspace",
            use_blob_urls=True,
            regex_filter=r".*\.png$",
            recursive_scan=True,
        )
    changes.append(f"storage {made.id} made")
    return int(made.id)


def _ensure_backend(client: Client, project_id: int, backend: BackendAddress, changes: list[str]) -> int:
    """Make or mend the row of our ML backend. A refused POST leaves a half-made row: those are removed."""
    rows = _backend_rows(client, project_id)
    healthy = sorted(row["id"] for row in rows if row["url"] == backend.url and row["state"] == _CONNECTED)
    _remove_backends(client, project_id, [row for row in rows if row["id"] not in healthy[:1]], changes)
    wanted = {
        "url": backend.url,
        "project": project_id,
        "title": BACKEND_TITLE,
        "is_interactive": True,
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": backend.username,
        "basic_auth_pass": backend.password,
    }
    try:
        if healthy:
            client.patch(f"/api/ml/{healthy[0]}", wanted)
            return int(healthy[0])
        made = client.post("/api/ml/", wanted)
    except LabelStudioError as error:
        _remove_backends(client, project_id, _backend_rows(client, project_id), changes)
        problem = f"Label Studio cannot use the ML backend at {backend.url}: is `annotator serve` running?"
        raise LabelStudioError(f"{problem} ({error})") from None
    changes.append(f"ML backend {made['id']} made")
    return int(made["id"])


def _backend_rows(client: Client, project_id: int) -> list[dict[str, Any]]:
    """Our rows among the ML backends of the project, their state as Label Studio finds it now."""
    rows = client.get("/api/ml/", params={"project": project_id})
    return [row for row in rows if row["title"] == BACKEND_TITLE]


def _remove_backends(client: Client, project_id: int, rows: list[dict[str, Any]], changes: list[str]) -> None:
    """Remove rows, and the webhooks that Label Studio made for them and leaves behind."""
    hooks = client.get("/api/webhooks/", params={"project": project_id}) if rows else []
    with client.calling("the ML backends"):
        for row in rows:
            client.sdk.ml.delete(row["id"])
            changes.append(f"ML backend row {row['id']} removed")
        for hook in hooks:
            if hook["url"] in {_webhook_url(row["url"]) for row in rows}:
                client.sdk.webhooks.delete(hook["id"])


def _webhook_url(backend_url: str) -> str:
    return f"{backend_url.rstrip('/')}/webhook"


def _secure_webhook(client: Client, project_id: int, backend: BackendAddress, changes: list[str]) -> None:
    """Label Studio calls the webhook of an ML backend without its password; a header brings it in."""
    secret = base64.b64encode(f"{backend.username}:{backend.password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}
    address = _webhook_url(backend.url)
    known = client.get("/api/webhooks/", params={"project": project_id})
    hooks = [hook for hook in known if hook["url"] == address]
    if not hooks:
        body = {"url": address, "project": project_id, "send_payload": True, "send_for_all_actions": True}
        client.post("/api/webhooks/", {**body, "headers": headers})
        changes.append("webhook made")
        return
    hooks.sort(key=lambda hook: int(hook["id"]))
    for double in hooks[1:]:
        with client.calling("the webhooks"):
            client.sdk.webhooks.delete(double["id"])
        changes.append(f"second webhook {double['id']} removed")
    if hooks[0].get("headers") != headers:
        client.patch(f"/api/webhooks/{hooks[0]['id']}/", {"headers": headers})
        changes.append("webhook given its password")

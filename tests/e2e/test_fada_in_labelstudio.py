"""FADA in Label Studio: a tiny checkpoint with an adapter, asked by the real server, seen in a browser."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annotator.commands.backend_login import backend_login
from annotator.commands.demo import wait_until_up
from annotator.commands.importing import add_simulated_frames
from annotator.labelstudio import credentials
from annotator.labelstudio.connect import BackendAddress, connect, open_client
from annotator.labelstudio.push import push
from annotator.schema import Prediction
from annotator.store import Links, Store
from annotator.taxonomy import INTERPRETATION_FIELDS
from tests.browser import logged_in
from tests.builders import a_free_port
from tests.tiny_vlm import save_tiny_adapter, save_tiny_checkpoint

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]

SEED = 6  # with these random weights boxes come out, and an outline that fits one of them
SEEN = "Htx.annotationStore.selected.results.map(result => result.serialize())"
SPOKEN = ("choices", "textarea")
SCORED = "Htx.annotationStore.selected.regions.map(region => [region.cleanId, region.score])"


@dataclass(frozen=True)
class Served:
    """A project whose tasks have no prediction yet, and the ML backend that will be asked for them."""

    store: Store
    url: str
    project_id: int
    task_ids: dict[str, int]


def short_answers(folder: Path) -> Path:
    """A profile that lets a random model ramble less."""
    from backends.prompts import DEFAULT_PROFILE

    words = DEFAULT_PROFILE.read_text(encoding="utf-8")
    path = folder / "short.toml"
    path.write_text(words.replace("field_characters = 400", "field_characters = 12"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def served(labelstudio_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fada")
    save_tiny_checkpoint(folder / "base", SEED)
    save_tiny_adapter(folder / "adapter", folder / "base", SEED)
    database, port = f"sqlite:///{folder / 'annotator.db'}", a_free_port()
    store = Store(labelstudio_workspace, database)
    add_simulated_frames(store, 3, seed=5)
    command = [sys.executable, "-m", "annotator.cli", "--workspace", str(labelstudio_workspace), "serve"]
    model = ["--backend", "fada", "--model", folder / "base", "--adapter", folder / "adapter"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *map(str, model), "--profile", str(short_answers(folder)), "--port", str(port)],
            env={**os.environ, "ANNOTATOR_DATABASE_URL": database},
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_up(server, url, folder / "serve.log")
            login = backend_login(labelstudio_workspace)
            with open_client(labelstudio_workspace) as client:
                backend = BackendAddress(url, login.username, login.password)
                project_id = connect(store, client, title="FADA", backend=backend).project_id
                push(store, client)
                yield Served(store, client.url, project_id, Links(store).task_links(project_id))
        finally:
            server.terminate()
            server.wait(20)
            store.close()


def predictions(served: Served) -> list[Prediction]:
    return list(served.store.newest_predictions())


def test_a_frame_that_is_opened_shows_what_fada_says_with_a_score_on_each_region(
    served: Served, labelstudio_workspace: Path
) -> None:
    seen: dict[str, list[dict[str, Any]]] = {}
    scores: dict[str, float] = {}
    with logged_in(served.url, credentials.load(labelstudio_workspace)) as page:
        for frame_id, task_id in served.task_ids.items():
            page.goto(f"{served.url}/projects/{served.project_id}/data?task={task_id}")
            page.wait_for_function("window.Htx?.annotationStore?.selected?.results.length > 0", timeout=120_000)
            seen[frame_id] = page.evaluate(SEEN)
            scores.update(page.evaluate(SCORED))
    said = {prediction.frame_id: prediction for prediction in predictions(served)}
    assert set(said) == set(seen)
    findings = [finding for prediction in said.values() for finding in prediction.findings]
    assert any(finding.mask_rle for finding in findings)
    assert any(not finding.mask_rle for finding in findings)
    for frame_id, prediction in said.items():
        shown = {region["from_name"]: region["value"] for region in seen[frame_id] if region["type"] in SPOKEN}
        assert prediction.interpretation is not None
        for name in INTERPRETATION_FIELDS:
            text = getattr(prediction.interpretation, name)
            assert shown.get(name, {"text": [""]})["text"] == [text if text.strip() else ""]
        assert shown["plane"]["choices"] == [prediction.plane]
        ids = {region["id"] for region in seen[frame_id]}
        assert {f"fada-{finding.finding_id}" for finding in prediction.findings} <= ids
        painted = {region["id"] for region in seen[frame_id] if region["type"] == "brushlabels"}
        assert painted == {f"fada-{one.finding_id}" for one in prediction.findings if one.mask_rle}
    assert all(finding.score is not None for finding in findings)
    for finding in findings:
        assert scores[f"fada-{finding.finding_id}"] == pytest.approx(finding.score)

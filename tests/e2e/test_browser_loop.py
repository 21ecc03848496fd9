"""The whole loop as a sonographer lives it: a real Label Studio, a real browser, and the COCO file at the end.

With ANNOTATOR_SCREENSHOTS=DIR the screens of the run (simulated frames) are kept there; the README shows them.
"""

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page
from pycocotools.coco import COCO

from annotator.commands.backend_login import backend_login
from annotator.commands.demo import Running, free_port, running_loop
from annotator.commands.exporting import export_as_coco
from annotator.commands.inspecting import verify_workspace
from annotator.commands.labelstudio import pull, push
from annotator.labelstudio import credentials
from annotator.labelstudio.connect import open_client
from annotator.labelstudio.environment import is_installed
from annotator.schema import Change, Correction
from annotator.settings import read_settings
from annotator.store import Store
from tests.browser import READY, logged_in
from tests.builders import require

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]

REGIONS = "Htx.annotationStore.selected.results.map(result => result.serialize())"
# Where the middle of a region is on the screen: percent of the image -> stage -> zoom -> page.
ON_SCREEN = """id => {
  const annotation = Htx.annotationStore.selected, image = annotation.names.get('image');
  const stage = image.stageRef.container().getBoundingClientRect();
  const value = annotation.results.map(result => result.serialize()).find(region => region.id === id).value;
  const place = (from, zoomed, percent, size) => from + zoomed + percent / 100 * size * image.zoomScale;
  return [place(stage.x, image.zoomingPositionX, value.x + (value.width || 0) / 2, image.stageWidth),
          place(stage.y, image.zoomingPositionY, value.y + (value.height || 0) / 2, image.stageHeight)];
}"""


@dataclass(frozen=True)
class Loop:
    """A running demo."""

    workspace: Path
    running: Running


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    settings = read_settings()
    require(is_installed(settings.labelstudio_env), "Label Studio: run `annotator labelstudio install`")
    settings = settings.model_copy(update={"labelstudio_port": free_port(), "backend_port": free_port()})
    workspace = tmp_path_factory.mktemp("loop") / "workspace"
    with running_loop(workspace, [], settings) as running:
        yield Loop(workspace, running)


@pytest.fixture(scope="module")
def page(loop: Loop) -> Iterator[Page]:
    with logged_in(loop.running.labelstudio_url, credentials.load(loop.workspace)) as opened:
        yield opened


def keep_screenshot(page: Page, name: str) -> None:
    if folder := os.environ.get("ANNOTATOR_SCREENSHOTS"):
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def open_task(page: Page, loop: Loop, task_id: int) -> list[dict[str, Any]]:
    page.goto(f"{loop.running.project_url}?task={task_id}")
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(2000)  # the image is fitted to the page after the regions are there
    regions: list[dict[str, Any]] = page.evaluate(REGIONS)
    return regions


def named(regions: list[dict[str, Any]], structure: str) -> dict[str, Any]:
    return next(region for region in regions if region["value"].get("rectanglelabels") == [structure])


def a_profile(loop: Loop) -> tuple[int, dict[str, Any]]:
    """A task whose prediction has both of the boxes that the reader is going to touch."""
    with open_client(loop.workspace) as client:
        for row in client.predictions(1):
            labels = [region["value"].get("rectanglelabels") for region in row["result"]]
            if ["NT"] in labels and ["palate"] in labels:
                return row["task"], row
    raise AssertionError("no simulated profile was pre-annotated with NT and palate")


def arrived(store: Store, count: int) -> list[Correction]:
    """Wait for the webhook to bring the corrections."""
    for _ in range(120):
        found = list(store.newest_corrections(is_truth=False))
        if len(found) >= count:
            return found
        time.sleep(0.5)
    raise AssertionError("the correction did not come back by webhook")


def test_what_a_sonographer_deletes_and_moves_in_the_browser_is_exactly_what_the_coco_file_says(
    page: Page, loop: Loop
) -> None:
    task_id, _ = a_profile(loop)
    page.goto(loop.running.project_url)
    page.wait_for_timeout(3000)
    keep_screenshot(page, "tasks")
    before = open_task(page, loop, task_id)
    assert page.evaluate("Htx.annotationStore.selected.names.get('image').zoomScale") == 1  # all of the frame shows
    keep_screenshot(page, "predicted")

    palate, nt = named(before, "palate"), named(before, "NT")
    page.mouse.click(*page.evaluate(ON_SCREEN, palate["id"]))
    page.keyboard.press("Backspace")
    page.wait_for_timeout(300)
    x, y = page.evaluate(ON_SCREEN, nt["id"])
    page.mouse.click(x, y)
    page.mouse.down()
    page.mouse.move(x + 15, y - 10, steps=5)
    page.mouse.move(x + 40, y - 30, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    keep_screenshot(page, "corrected")
    after = {region["id"]: region for region in page.evaluate(REGIONS)}
    assert palate["id"] not in after
    assert after[nt["id"]]["value"]["x"] > nt["value"]["x"] + 1
    page.get_by_role("button", name="Submit").click()

    store = Store(loop.workspace)
    (correction,) = arrived(store, 1)
    frame = store.frame(correction.frame_id)
    store.close()
    assert frame is not None
    assert correction.lead_time_s is not None
    assert sorted(correction.changes.values()).count(Change.DELETED) == 1
    assert sorted(correction.changes.values()).count(Change.CHANGED) == 1

    out = loop.workspace / "exports" / "browser"
    export_as_coco(loop.workspace, out, "corrected", None, None)
    coco = COCO(str(out / "annotations.json"))
    found = {f"fada-{item['attributes']['finding_id']}": item for item in coco.anns.values()}
    shapes = {region_id: region for region_id, region in after.items() if "x" in region["value"]}
    assert set(found) == set(shapes)
    for region_id, region in shapes.items():
        if region["type"] == "rectanglelabels":
            value = region["value"]
            expected = [
                value["x"] * frame.width / 100,
                value["y"] * frame.height / 100,
                value["width"] * frame.width / 100,
                value["height"] * frame.height / 100,
            ]
            assert found[region_id]["bbox"] == pytest.approx(expected, abs=1e-4)
            assert coco.cats[found[region_id]["category_id"]]["name"] == value["rectanglelabels"][0]
    changed = {"fada-" + key for key, change in correction.changes.items() if change is Change.CHANGED}
    assert changed == {nt["id"]}
    assert verify_workspace(loop.workspace).document["clean"]


def test_pressing_push_and_pull_again_changes_nothing(page: Page, loop: Loop) -> None:
    assert page
    first, second = push(loop.workspace, None, None).document, push(loop.workspace, None, None).document
    assert second["tasks_made"] == second["predictions_sent"] == 0
    assert first["predictions_on_server"] == second["predictions_on_server"] == 24
    assert pull(loop.workspace).document["corrections_new"] == 0


def test_a_click_with_the_smart_tool_outlines_the_head_there(page: Page, loop: Loop) -> None:
    """Label Studio sends the click to the ML backend and passes on the outline that the head network draws."""
    assert page
    with open_client(loop.workspace) as client:
        row = next(row for row in client.predictions(1) if row["result"][0]["type"] == "ellipselabels")
        head = row["result"][0]
        (backend,) = client.get("/api/ml/", params={"project": 1})
        click = {
            "id": "click-1",
            "type": "keypointlabels",
            "from_name": "prompt_point",
            "to_name": "image",
            "is_positive": True,
            "original_width": head["original_width"],
            "original_height": head["original_height"],
            "value": {"x": head["value"]["x"], "y": head["value"]["y"], "width": 0.3, "keypointlabels": ["Brain"]},
        }
        answer = client.post(
            f"/api/ml/{backend['id']}/interactive-annotating", {"task": row["task"], "context": {"result": [click]}}
        )
    (outline,) = answer["data"]["result"]
    assert outline["type"] == "ellipselabels"
    assert outline["value"]["x"] == pytest.approx(head["value"]["x"], abs=5)


def test_the_status_page_tells_how_the_work_stands(page: Page, loop: Loop) -> None:
    login = backend_login(loop.workspace)
    token = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    page.set_extra_http_headers({"Authorization": f"Basic {token}"})
    page.goto(f"{loop.running.backend_url}/status")
    assert "24" in page.inner_text(".cards")
    keep_screenshot(page, "status")
    page.set_extra_http_headers({})


def test_a_forged_webhook_is_refused_and_changes_nothing(loop: Loop) -> None:
    body = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "updated_at": "x"}}
    assert httpx.post(f"{loop.running.backend_url}/webhook", content=json.dumps(body)).status_code == 401

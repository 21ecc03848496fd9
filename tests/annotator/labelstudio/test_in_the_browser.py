"""What the editor in the browser does to our regions: nothing, unless the reader does; and no word to strangers."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import rle_to_mask
from annotator.labelstudio import credentials
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import connect, open_client
from annotator.labelstudio.pull import pull
from annotator.labelstudio.push import push
from annotator.schema import Change, Correction, Origin
from annotator.store import Links, Store
from tests.annotator.labelstudio.shapes import SIZE_WH, every_shape, predict_every_shape
from tests.browser import READY, logged_in
from tests.builders import some_pixels

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]

# Where a point in percent of the image is on the screen: image -> stage -> zoom -> page.
ON_SCREEN = """([x, y]) => {
  const image = Htx.annotationStore.selected.names.get('image');
  const stage = image.stageRef.container().getBoundingClientRect();
  return [stage.x + image.zoomingPositionX + x / 100 * image.stageWidth * image.zoomScale,
          stage.y + image.zoomingPositionY + y / 100 * image.stageHeight * image.zoomScale];
}"""


@pytest.fixture
def store(labelstudio_workspace: Path, tmp_path: Path) -> Iterator[Store]:
    opened = Store(labelstudio_workspace, f"sqlite:///{tmp_path / 'annotator.db'}")
    yield opened
    opened.close()


@pytest.fixture
def client(labelstudio_workspace: Path) -> Iterator[Client]:
    with open_client(labelstudio_workspace) as opened:
        yield opened


@pytest.fixture
def page(labelstudio_workspace: Path, client: Client) -> Iterator[Page]:
    with logged_in(client.url, credentials.load(labelstudio_workspace)) as opened:
        yield opened


def open_a_frame(store: Store, client: Client, page: Page, title: str, seed: int) -> None:
    pixels = some_pixels(seed, SIZE_WH)
    frame = make_frame(pixels, f"{title}.png", FrameFacts(simulated=True))
    save_pixels(pixels, store.image_path(frame.frame_id))
    store.add_frames([frame])
    predict_every_shape(store, [frame])
    project = connect(store, client, title=title)
    push(store, client)
    task_id = Links(store).task_links(project.project_id)[frame.frame_id]
    page.goto(f"{project.project_url}?task={task_id}")
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(2500)  # the image is fitted to the page after the regions are there


def submitted(store: Store, client: Client, page: Page) -> Correction:
    page.click("text=Submit")
    page.wait_for_timeout(2500)
    report = pull(store, client)
    assert report.problems == []
    (correction,) = store.newest_corrections(is_truth=False)
    return correction


def test_a_prediction_that_is_submitted_untouched_is_kept_bit_for_bit(
    store: Store, client: Client, page: Page
) -> None:
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    open_a_frame(store, client, page, "untouched", 1)
    page.wait_for_selector("text=SIMULATED FRAME")
    page.wait_for_selector("text=Research software - not for clinical use")
    correction = submitted(store, client, page)
    (prediction,) = store.newest_predictions()
    kept = [one.model_copy(update={"parent_finding_id": one.finding_id}) for one in prediction.findings]
    assert list(correction.findings) == kept
    assert set(correction.changes.values()) == {Change.KEPT}
    assert correction.plane == "Trans-thalamic"
    assert correction.lead_time_s is not None
    assert hosts - {"127.0.0.1", "", None} == set(), "the page calls strangers"


def test_what_is_painted_comes_in_as_a_mask_though_its_edges_are_soft(
    store: Store, client: Client, page: Page
) -> None:
    open_a_frame(store, client, page, "painted", 2)
    page.click(".ant-collapse-header:has-text('Brush')")
    page.click(".fada-side .ant-collapse-item:has-text('Brush') .lsf-label:has-text('stomach')")
    page.mouse.move(*page.evaluate(ON_SCREEN, [40, 85]))
    page.mouse.down()
    page.mouse.move(*page.evaluate(ON_SCREEN, [60, 85]), steps=12)
    page.mouse.up()
    page.wait_for_timeout(800)
    correction = submitted(store, client, page)
    (added,) = [one for one in correction.findings if correction.changes[one.finding_id] == Change.ADDED]
    assert (added.structure, added.origin, added.score) == ("stomach", Origin.MANUAL, None)
    assert added.mask_rle is not None
    mask = rle_to_mask(added.mask_rle)
    assert mask[round(0.85 * SIZE_WH[1]), round(0.5 * SIZE_WH[0])]
    assert 0.15 * SIZE_WH[0] < added.box_xyxy[2] - added.box_xyxy[0] < 0.35 * SIZE_WH[0]
    assert list(correction.changes.values()).count(Change.KEPT) == len(every_shape())


def test_the_key_of_a_structure_chooses_its_shape(store: Store, client: Client, page: Page) -> None:
    open_a_frame(store, client, page, "keys", 3)
    page.keyboard.press("1")
    chosen = "Htx.annotationStore.selected.names.get('ellipse').selectedLabels.map(label => label.value)"
    assert page.evaluate(chosen) == ["Brain"]
    page.keyboard.press("2")
    chosen = "Htx.annotationStore.selected.names.get('box').selectedLabels.map(label => label.value)"
    assert page.evaluate(chosen) == ["CSP"]

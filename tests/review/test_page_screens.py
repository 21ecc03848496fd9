"""How the page fits on screens. With ANNOTATOR_SCREENSHOTS=DIR both modes (simulated frames) are kept there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from annotator.store import Store
from annotator.studies import Arm
from tests.review.paging import Seat, a_browser, a_running_panel, seated
from tests.review.phantoms import a_phantom_study
from tests.review.reading import VERSIONS

pytestmark = pytest.mark.browser

SIZES = [(1280, 720), (1440, 900), (1920, 1080)]
OUTSIDE = """() => [...document.querySelectorAll('#reading :is(button, input, textarea, select, .choice, .tag)')]
  .filter(node => node.getClientRects().length && !node.closest('.interpretation, .faults, .body, .stage'))
  .filter(node => {
    const { left, top, right, bottom } = node.getBoundingClientRect();
    return left < 0 || top < 0 || right > innerWidth + 1 || bottom > innerHeight + 1;
  })
  .map(node => node.outerHTML)"""


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store(tmp_path_factory.mktemp("screens") / "workspace")
    readers = {"readers": ("anna",), "session_cases": 40}
    a_phantom_study(store, 4, first_seed=7, title="Second-trimester head, pilot", **readers)
    guided = {"readers": ("ben",), "arm": Arm.GUIDED, "versions": VERSIONS[:1], "name": "guided"}
    a_phantom_study(store, 4, first_seed=40, title="Second-trimester head, guided reading", **guided)
    with a_running_panel(store) as url:
        yield url
    store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


def keep_screenshot(seat: Seat, name: str) -> None:
    if folder := os.environ.get("ANNOTATOR_SCREENSHOTS"):
        seat.wait_until_saved()
        seat.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_frame_text_and_grades_fit_on_a_screen_and_the_frame_has_most_of_it(
    browser: Browser, panel: str, width: int, height: int
) -> None:
    with seated(browser, panel, "anna", viewport={"width": width, "height": height}) as seat:
        seat.wait_for_case()
        assert seat.page.evaluate(OUTSIDE) == []
        stage = seat.page.locator(".stage").bounding_box()
        assert stage is not None
        assert stage["width"] >= 0.599 * width
        assert stage["height"] >= 0.65 * height
        text = seat.page.locator(".slot:not([hidden]) .interpretation")
        if height >= 900:  # all eight fields at once
            assert text.evaluate("box => box.scrollHeight - box.clientHeight") <= 1
        seat.press("d", "1", "2")
        assert seat.page.evaluate(OUTSIDE) == []


def test_an_autonomous_case_in_the_middle_of_its_grades(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "anna") as seat:
        token = seat.wait_for_case()
        seat.press("a", "d", "1", "1", "1", "1", "1", "1", "Enter")
        seat.wait_for_case(but=token)
        seat.press("1", "1", "k", "Tab", "Tab", "Tab", "Tab", "Tab", "Tab", "Space", "Escape")
        seat.wait_for_text(".slot:not([hidden]) .suggestion", "suggests 2 Minor")
        keep_screenshot(seat, "review-autonomous")


def test_a_guided_case_when_it_is_graded(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "ben") as seat:
        seat.wait_for_case()
        seat.page.keyboard.type("transth")
        seat.press("Tab", "1", "Control+Enter")
        seat.wait_for_text(".stepper [aria-current]", "Interpretation")
        assert seat.page.evaluate(OUTSIDE) == []
        seat.page.locator("textarea").nth(4).fill("About 21 weeks by head size; compare with the dates.")
        seat.press("Control+Enter")
        seat.wait_for_text(".stepper [aria-current]", "Structures")
        assert seat.page.evaluate(OUTSIDE) == []
        keep_screenshot(seat, "review-guided-structures")
        seat.press("Enter")
        seat.wait_for_text(".stepper [aria-current]", "Grades")
        seat.press("2")
        assert seat.page.locator(".shape").count() >= 2
        keep_screenshot(seat, "review-guided")

"""What the page shows: outlines where they were found; controls that everybody can name, reach and read."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from annotator.store import Store
from annotator.studies import Arm
from tests.builders import a_finding, a_prediction, keep_frames
from tests.review.paging import Seat, a_browser, a_running_panel, seated
from tests.review.reading import VERSIONS, a_study, some_text

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ned reads in autonomous mode, pat in guided mode; two boxes in every frame of 32 x 24."""
    store = Store(tmp_path_factory.mktemp("page") / "workspace")
    frames = keep_frames(store, 2)
    findings = (a_finding("CSP", (8, 6, 16, 12)), a_finding("LV", (20, 12, 30, 20)))
    predictions = [
        a_prediction(frame, version, interpretation=some_text(), findings=findings, plane="Trans-thalamic")
        for frame in frames
        for version in VERSIONS
    ]
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    a_study(store, frames, readers=("ned",), predicted=True)
    guided = keep_frames(store, 1, first_seed=10)
    a_study(store, guided, readers=("pat",), versions=VERSIONS[:1], name="guided", arm=Arm.GUIDED)
    with a_running_panel(store) as url:
        yield url
    store.close()


MIDDLE = """name => {
  const box = document.querySelector(`.shape[data-structure="${name}"] .line`).getBoundingClientRect();
  const image = document.querySelector('.sheet img').getBoundingClientRect();
  const zoom = image.width / 32;
  return [(box.x + box.width / 2 - image.x) / zoom, (box.y + box.height / 2 - image.y) / zoom, zoom];
}"""


def test_outlines_lie_where_they_were_found_at_every_zoom_and_the_pointer_keeps_its_place(
    browser: Browser, panel: str
) -> None:
    with seated(browser, panel, "ned") as seat:
        seat.wait_for_case()
        x, y, zoom = seat.page.evaluate(MIDDLE, "CSP")
        assert (x, y) == pytest.approx((12, 9), abs=0.1)
        place = seat.page.locator(".shape[data-structure=CSP] .line").bounding_box()
        assert place is not None
        at = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        seat.page.mouse.move(*at)
        seat.page.mouse.wheel(0, -300)
        seat.page.wait_for_function(
            "zoom => document.querySelector('.sheet img').getBoundingClientRect().width > 33 * zoom", arg=zoom
        )
        assert seat.page.evaluate(MIDDLE, "CSP")[:2] == pytest.approx((12, 9), abs=0.1)
        place = seat.page.locator(".shape[data-structure=CSP] .line").bounding_box()
        assert place is not None
        assert (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2) == pytest.approx(at, abs=2)
        seat.press("0")
        assert seat.page.evaluate(MIDDLE, "CSP")[2] == pytest.approx(zoom)


def test_structures_go_off_one_by_one_and_all_together_and_are_named_under_the_pointer(
    browser: Browser, panel: str
) -> None:
    with seated(browser, panel, "ned") as seat:
        seat.wait_for_case()
        visible = "document.querySelectorAll('.shape:not(.off)').length"
        assert seat.page.evaluate(visible) == 2
        seat.page.locator(".shape[data-structure=CSP]").hover()
        seat.wait_for_text(".tip", "cavum septi pellucidi")
        seat.page.get_by_label("lateral ventricle").uncheck()
        assert seat.page.evaluate(visible) == 1
        seat.press("Escape", "o")
        assert seat.page.evaluate(visible) == 0
        seat.press("o")
        assert seat.page.evaluate(visible) == 1
        dashes = [line.get_attribute("stroke-dasharray") for line in seat.page.locator(".sample line").all()]
        assert len(set(dashes)) == 2


# For everybody

NAMELESS = """() => [...document.querySelectorAll('#reading *')]
  .filter(node => node.matches('button, input, select, textarea, summary, [tabindex="0"]'))
  .filter(node => !node.closest('[hidden]') && !node.getAttribute('aria-label'))
  .filter(node => !(node.labels?.[0]?.textContent.trim() || node.textContent.trim()))
  .map(node => node.outerHTML)"""
FAINT = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, at) => value * a + below[at] * (1 - a));
  const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = node => node === null ? [0, 0, 0]
    : over(parse(getComputedStyle(node).backgroundColor), parse(getComputedStyle(node).backgroundColor)[3] === 0
      || parse(getComputedStyle(node).backgroundColor)[3] < 1 ? ground(node.parentElement) : [0, 0, 0]);
  const found = [];
  for (const node of document.querySelectorAll('#reading *')) {
    const has = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!has || node.closest('[hidden], :disabled') || !node.getClientRects().length) continue;
    const style = getComputedStyle(node), back = ground(node);
    const [high, low] = [light(over(parse(style.color), back)), light(back)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.push([node.className, node.innerText, contrast.toFixed(2)]);
  }
  return found;
}"""


def check_for_everybody(seat: Seat) -> None:
    assert seat.page.evaluate(NAMELESS) == []
    assert seat.page.evaluate(FAINT) == []


@pytest.mark.parametrize("login", ["ned", "pat"])
def test_every_control_has_a_name_and_every_text_enough_contrast(browser: Browser, panel: str, login: str) -> None:
    with seated(browser, panel, login) as seat:
        seat.wait_for_case()
        check_for_everybody(seat)
        assert seat.page.locator("html").get_attribute("lang")
        if login == "ned":
            seat.press("k", "Space", "Escape", "1", "?")
            check_for_everybody(seat)
        else:
            seat.page.keyboard.type("transth")
            seat.press("Tab", "1", "Control+Enter")
            seat.wait_for_text(".stepper [aria-current]", "Interpretation")
            check_for_everybody(seat)
            seat.press("Control+Enter")
            seat.wait_for_text(".stepper [aria-current]", "Structures")
            check_for_everybody(seat)


def test_every_control_can_be_reached_by_tab_and_shows_that_it_has_the_focus(browser: Browser, panel: str) -> None:
    reached: set[Any] = set()
    with seated(browser, panel, "ned") as seat:
        seat.wait_for_case()
        seat.press("Escape")
        for _ in range(70):
            seat.press("Tab")
            outline = seat.page.evaluate(
                "(node => [(node.innerText || node.getAttribute('aria-label') || node.value || node.id).trim(),"
                " [node, node.closest('label')].some(one => one && getComputedStyle(one).outlineStyle !== 'none')])"
                "(document.activeElement)"
            )
            if outline[0]:
                assert outline[1] or seat.page.evaluate("document.activeElement === document.body"), outline
            reached.add(str(outline[0]).split("\n")[0])
    for name in ("Keys", "Log out", "Fit", "Next", "A"):
        assert name in reached, reached

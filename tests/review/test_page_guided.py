"""Guided cases at the real page: a run that takes its time, and what may be mended when the grades are locked."""

from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser

from annotator.schema import Correction
from annotator.store import Store
from annotator.studies import Arm, StepKind
from review.running import RunProgress, StoredRunner
from tests.builders import a_finding
from tests.review.paging import Seat, a_browser, a_running_panel, scores_of, seated, steps_of
from tests.review.reading import VERSIONS, a_study

pytestmark = pytest.mark.browser

READERS = ("amy", "bob", "eli")


class SlowRunner(StoredRunner):
    """Stands still at a fraction until it is let go or cancelled."""

    fraction = 0.4
    is_held = False

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.cancelled: set[str] = set()
        self.asked: list[tuple[Sequence[str], Sequence[str]]] = []

    def start(
        self, frame_id: str, detect: Sequence[str], segment: Sequence[str], *, prediction_id: str | None = None
    ) -> str:
        self.asked.append((detect, segment))
        return super().start(frame_id, detect, segment, prediction_id=prediction_id)

    def progress(self, run: str) -> RunProgress:
        if self.is_held:
            return RunProgress("running", self.fraction, "looking for 3 structures")
        return super().progress(run)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("page") / "workspace")
    a_study(opened, 2, readers=READERS, versions=VERSIONS[:1], arm=Arm.GUIDED)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def runner(shared: Store) -> SlowRunner:
    return SlowRunner(shared)


@pytest.fixture(scope="module")
def handed_over() -> list[str]:
    return []


@pytest.fixture(scope="module")
def panel(shared: Store, runner: SlowRunner, handed_over: list[str]) -> Iterator[str]:
    def hand_over(frame_id: str, prediction_id: str, reader: str) -> str:
        handed_over.append(frame_id)
        return "http://127.0.0.1:9/projects/1/data?task=1"

    with a_running_panel(shared, runner=runner, hand_over=hand_over) as url:
        yield url


def at_step(seat: Seat, name: str) -> None:
    seat.wait_for_text(".stepper [aria-current]", name)


def go_to_structures(seat: Seat) -> None:
    seat.wait_for_case()
    at_step(seat, "Own view")
    seat.page.keyboard.type("transth")
    seat.press("Escape", "1", "Control+Enter")
    at_step(seat, "Interpretation")
    seat.press("Control+Enter")
    at_step(seat, "Structures")


def go_to_outlines(seat: Seat) -> None:
    go_to_structures(seat)
    seat.press("Control+Enter")
    at_step(seat, "Grades")
    seat.press("2", "3", "Enter")
    at_step(seat, "Outlines")


def test_nothing_of_the_model_is_on_the_page_before_the_own_view_is_stored(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "amy") as seat:
        seat.wait_for_case()
        assert "Skull, midline echo" not in seat.page.content()
        assert seat.page.locator(".shape").count() == 0
        seat.press("Escape", "Control+Enter")
        seat.wait_for_text(".problem", "Choose the plane")
        assert seat.page.evaluate("document.activeElement.tagName") == "SELECT"


def test_a_run_shows_its_progress_and_can_be_cancelled_and_begun_again_with_other_structures(
    browser: Browser, panel: str, shared: Store, runner: SlowRunner
) -> None:
    with seated(browser, panel, "amy") as seat:
        go_to_structures(seat)
        seat.wait_for_text(".reasons", "transthalamic")
        runner.is_held = True
        seat.press("Enter")
        seat.wait_for_text(".run-line", "looking for 3 structures")
        assert seat.page.locator(".run progress").evaluate("bar => bar.value") == pytest.approx(0.4)
        seat.press("Escape", "x")
        seat.wait_for_text(".run-line", "Cancelled")
        runner.is_held = False
        seat.page.get_by_label("Find cavum septi pellucidi").uncheck()
        seat.press("Control+Enter")
        at_step(seat, "Grades")
        assert seat.page.locator(".shape").count() == 1
    assert [sorted(detect) for detect, _ in runner.asked] == [["Brain", "CSP"], ["Brain"]]
    states = [step.run.state for step in steps_of(shared, "amy") if step.run]
    assert states == ["running", "cancelled", "running", "done"]


def test_outlines_are_removed_and_renamed_in_place_after_the_grades_are_locked(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "bob") as seat:
        go_to_outlines(seat)
        seat.page.get_by_label("Remove brain").check()
        seat.page.get_by_label("Name of cavum").select_option("LV")
        seat.press("Escape", "Enter")
        seat.wait_for_text(".run-line", "1 removed, 1 renamed")
        assert seat.page.locator(".shape").evaluate_all("all => all.map(one => one.dataset.structure)") == ["LV"]
        seat.press("Enter")
        at_step(seat, "Own view")
    token = scores_of(shared, "bob")[0].token
    (edit,) = [step.geometry for step in steps_of(shared, "bob") if step.token == token and step.geometry]
    assert (edit.removed, edit.relabelled, edit.accepted) == (1, 1, False)
    correction = next(one for one in shared.newest_corrections(is_truth=False) if one.reader == "bob")
    assert [finding.structure for finding in correction.findings] == ["LV"]


def test_a_correction_made_in_label_studio_comes_back_by_itself(
    browser: Browser, panel: str, shared: Store, handed_over: list[str]
) -> None:
    with seated(browser, panel, "eli") as seat:
        go_to_outlines(seat)
        seat.press("Escape")
        with seat.context.expect_page():
            seat.press("g")
        seat.wait_for_text(".run-line", "Label Studio")
        assert seat.page.locator(".run-line a").get_attribute("href") == "http://127.0.0.1:9/projects/1/data?task=1"
        step = next(step for step in steps_of(shared, "eli") if step.step is StepKind.LABEL_STUDIO)
        assert handed_over == [step.frame_id]
        drawn = a_finding("LV", (2, 2, 9, 9), origin="manual")
        made = Correction(frame_id=step.frame_id, reader="eli", findings=(drawn,), external_id="ann:7")
        shared.add_corrections([made])
        seat.wait_for_text(".run-line", "The correction from Label Studio is here")
        assert seat.page.locator(".shape").evaluate_all("all => all.map(one => one.dataset.structure)") == ["LV"]

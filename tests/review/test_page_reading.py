"""Readers at the real page, by keyboard alone, in both modes; what they decide is in the store, in plan order."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from annotator.store import Store
from annotator.studies import Arm, StepKind, Study
from tests.builders import keep_frames
from tests.review.paging import Seat, a_browser, a_running_panel, plan_of, scores_of, seated, steps_of
from tests.review.reading import VERSIONS, a_study

pytestmark = pytest.mark.browser

CASES, GUIDED_CASES = 30, 10
KEYS = {1: "1", 2: "2", 3: "3", "NG": "n"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("page") / "workspace")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def studies(shared: Store) -> dict[str, Study]:
    """All studies of this module: one server is started for all of them."""
    autonomous = a_study(shared, CASES, readers=("anna", "ben"), name="autonomous")
    frames = keep_frames(shared, GUIDED_CASES, first_seed=CASES)
    guided = a_study(shared, frames, readers=("cyd", "dora"), versions=VERSIONS[:1], name="guided", arm=Arm.GUIDED)
    return {"autonomous": autonomous, "guided": guided}


@pytest.fixture(scope="module")
def panel(shared: Store, studies: dict[str, Study]) -> Iterator[str]:
    assert studies
    with a_running_panel(shared) as url:
        yield url


def meant(position: int, slot: str, dimension: str) -> Any:
    """What a reader of these tests decides."""
    return (1, 2, 3, "NG")[(position + ord(slot) + len(dimension)) % 4]


def test_a_reader_grades_thirty_cases_of_three_slots_by_keyboard_alone(
    browser: Browser, panel: str, shared: Store, studies: dict[str, Study]
) -> None:
    login = "ben"  # two readers at once are tested over HTTP
    with seated(browser, panel, login) as seat:
        seen = [token := seat.wait_for_case()]
        for position in range(1, CASES + 1):
            for slot in "ABC":
                for dimension in ("interpretation", "annotation"):
                    seat.press(KEYS[meant(position, slot, dimension)])
            seat.press("Enter")
            if position < CASES:
                seen.append(token := seat.wait_for_case(but=token))
        seat.wait_for_text(".place", "Finished: thank you")
        seat.wait_until_saved()
        assert seat.faults == []
        assert seat.hosts == {panel.split("/")[2]}
    plan = plan_of(shared, studies["autonomous"].study_id, login)
    scores = scores_of(shared, login)
    assert seen == plan
    assert [score.token for score in scores] == [token for token in plan for _ in range(6)]
    assert len(scores) == CASES * 6
    for score in scores:
        assert score.grade == meant(score.position, score.slot, score.dimension)
        assert score.seconds is not None


def test_a_reader_takes_ten_guided_cases_through_all_steps_by_keyboard_alone(
    browser: Browser, panel: str, shared: Store, studies: dict[str, Study]
) -> None:
    login = "dora"
    with seated(browser, panel, login) as seat:
        seen = [token := seat.wait_for_case()]
        for position in range(1, GUIDED_CASES + 1):
            guided_case(seat, position)
            if position < GUIDED_CASES:
                seen.append(token := seat.wait_for_case(but=token))
        seat.wait_for_text(".place", "Finished: thank you")
        assert seat.faults == []
    plan = plan_of(shared, studies["guided"].study_id, login)
    assert seen == plan
    scores, steps = scores_of(shared, login), steps_of(shared, login)
    assert [score.token for score in scores] == [token for token in plan for _ in range(2)]
    for score in scores:
        assert score.grade == meant(score.position, "A", score.dimension)
    for token in plan:
        mine = {step.step: step for step in steps if step.token == token}
        assert {StepKind.OWN_VIEW, StepKind.INTERPRETATION, StepKind.TARGETS, StepKind.RUN} <= set(mine)
        own, text = mine[StepKind.OWN_VIEW].own_view, mine[StepKind.INTERPRETATION].text
        assert own is not None
        assert (own.plane, own.normality, own.seen) == ("Trans-thalamic", "normal", "midline")
        assert text is not None
        assert text.corrected_fields == ("anatomical_structures",)
        assert text.interpretation.anatomical_structures.startswith("Skull only. ")
        geometry = mine[StepKind.GEOMETRY].geometry
        assert geometry is not None
        assert geometry.accepted
        assert mine[StepKind.OWN_VIEW].seconds is not None


def guided_case(seat: Seat, position: int) -> None:
    seat.wait_for_text(".stepper [aria-current]", "Own view")
    seat.page.keyboard.type("transth")  # the list of planes has the focus and finds what is typed
    seat.press("Tab", "Space", "Tab")
    seat.page.keyboard.type("midline")
    seat.press("Control+Enter")
    seat.wait_for_text(".stepper [aria-current]", "Interpretation")
    seat.page.keyboard.type("Skull only. ")
    seat.press("Control+Enter")
    seat.wait_for_text(".stepper [aria-current]", "Structures")
    seat.press("Enter")
    seat.wait_for_text(".stepper [aria-current]", "Grades")
    seat.press(*(KEYS[meant(position, "A", dimension)] for dimension in ("interpretation", "annotation")), "Enter")
    seat.wait_for_text(".stepper [aria-current]", "Outlines")
    seat.press("y")
    seat.wait_for_text(".run-line", "Accepted")
    seat.press("Enter")


def test_the_page_and_its_files_need_a_login(browser: Browser, panel: str) -> None:
    with seated(browser, panel) as seat:
        seat.page.goto(f"{panel}/review/?study=x")
        assert "/login" in seat.page.url
        answers = [seat.page.request.get(f"{panel}/review/{path}").status for path in ("page/panel.js", "config")]
        assert answers == [401, 401]


def test_the_folder_of_scripts_serves_nothing_else(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "anna") as seat:
        outside = ["page/../panel.py", "page/%2e%2e/panel.py", "page/..%2fpanel.py", "page//etc/passwd", "page/"]
        assert {seat.page.request.get(f"{panel}/review/{path}").status for path in outside} <= {404, 405}

"""The page when things go wrong, and what it must never do: lose a grade, run a text, hide behind a colour."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from annotator.schema import utc_now
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Role
from tests.builders import a_finding, a_prediction, keep_frames
from tests.review.paging import Seat, a_browser, a_running_panel, scores_of, seated
from tests.review.reading import VERSIONS, a_server, a_study, add_account, some_text

pytestmark = pytest.mark.browser

HOSTILE = [
    "<script>window.stolen=1</script>",
    "<img src=x onerror='window.stolen=1'>",
    "${window.stolen=1}",
    "{{window.stolen=1}}",
]
READERS = ("fay", "gus", "hal", "ida", "jo", "kim", "lea", "max")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A small study whose texts and title are hostile, and accounts that do not read."""
    opened = Store(tmp_path_factory.mktemp("page") / "workspace")
    frames = keep_frames(opened, 4)
    first, second, *others = HOSTILE
    written = some_text(image_quality=first, gestational_age=second, fetal_orientation="".join(others))
    findings = (a_finding("CSP", (8, 6, 16, 12)), a_finding("LV", (20, 12, 30, 20)))
    predictions = [
        a_prediction(frame, version, interpretation=written, findings=findings, plane="Trans-thalamic")
        for frame in frames
        for version in VERSIONS
    ]
    with opened.writing() as connection:
        opened.add_predictions(connection, predictions)
    a_study(opened, frames, readers=READERS, predicted=True, title=HOSTILE[1])
    a_study(opened, frames, readers=("sam",), predicted=True, name="limited", session_cases=1)
    a_study(opened, frames, readers=("tom",), predicted=True, name="washed", repeats=0.5, washout_days=7)
    add_account(opened, "curt", Role.CURATOR)
    add_account(opened, "new", Role.READER)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def panel(shared: Store) -> Iterator[str]:
    with a_running_panel(shared) as url:
        yield url


def finish(seat: Seat, keys: str = "111111") -> str:
    """Grade the case on the screen and go on; return the next one's token."""
    before = seat.wait_for_case()
    seat.press(*keys, "Enter")
    return seat.wait_for_case(but=before)


def test_a_refresh_and_another_computer_go_on_at_the_same_case_with_what_was_half_done(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "fay") as seat:
        second = finish(seat)
        seat.press("1", "2", "3", "n", "1", "2")  # the last one is held until the reader goes on
        seat.press("m")
        seat.page.keyboard.type("outline cut at the left")
        seat.wait_for_text(".saved", "Saved as draft")
        seat.page.reload()
        assert seat.wait_for_case() == second
        seat.wait_for_text(".count", "6 of 6")
        assert len(scores_of(shared, "fay")) == 6 + 5
    with seated(browser, panel, "fay") as elsewhere:
        assert elsewhere.wait_for_case() == second
        elsewhere.wait_for_text(".count", "6 of 6")
        elsewhere.press("Enter")
        elsewhere.wait_for_case(but=second)
        elsewhere.wait_until_saved()
    last = scores_of(shared, "fay")[-1]
    assert (last.token, last.slot, last.grade, last.comment) == (second, "C", 2, "outline cut at the left")


def test_grades_given_without_a_connection_are_kept_and_sent_when_it_is_back(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "gus") as seat:
        token = seat.wait_for_case()
        seat.wait_until_saved()
        seat.context.set_offline(True)
        seat.press("1", "2", "3", "n", "1", "2", "Enter")
        seat.wait_for_text(".saved", "Not saved, retrying")
        assert scores_of(shared, "gus") == []
        assert seat.page.evaluate("Object.keys(localStorage).filter(name => name.includes('unsent')).length") == 6
        seat.context.set_offline(False)
        seat.wait_until_saved()
        assert seat.wait_for_case() != token
        assert [score.grade for score in scores_of(shared, "gus")] == [1, 2, 3, "NG", 1, 2]
        assert seat.page.evaluate("Object.keys(localStorage).filter(name => name.includes('unsent'))") == []


def test_a_page_that_was_closed_without_a_connection_sends_its_grades_when_it_is_opened_again(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "hal") as seat:
        seat.wait_for_case()
        seat.context.route("**/api/grade", lambda route: route.abort())
        seat.press("3", "2")
        seat.wait_for_text(".saved", "Not saved, retrying")
        seat.page.close(run_before_unload=False)
        seat.context.unroute("**/api/grade")
        page = seat.context.new_page()
        page.goto(f"{panel}/review/")
        page.wait_for_selector(".saved[data-state=saved]")
        page.wait_for_function("document.querySelector('.count')?.innerText.startsWith('2 of 6')")
    assert [score.grade for score in scores_of(shared, "hal")] == [3, 2]


def test_leaving_with_unsaved_grades_is_warned_of(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "hal") as seat:
        seat.wait_for_case()
        seat.wait_until_saved()
        seat.context.route("**/api/grade", lambda route: route.abort())
        seat.press("1")
        seat.wait_for_text(".saved", "Not saved, retrying")
        asked: list[str] = []
        seat.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        seat.page.close(run_before_unload=True)
        seat.page.wait_for_timeout(300)
        assert asked == ["beforeunload"]


def test_keys_are_silent_while_one_types(browser: Browser, panel: str, shared: Store) -> None:
    with seated(browser, panel, "ida") as seat:
        seat.wait_for_case()
        seat.press("m")
        seat.page.keyboard.type("123 nod? a-b+c [0]")
        seat.press("Enter")
        assert seat.page.locator("textarea:focus").input_value() == "123 nod? a-b+c [0]\n"
        assert seat.page.locator("dialog").count() == 0
        seat.wait_for_text(".count", "0 of 6")
        seat.press("Escape", "2")
        seat.wait_for_text(".count", "1 of 6")
        seat.wait_until_saved()
    (score,) = scores_of(shared, "ida")
    assert (score.grade, score.comment) == (2, "123 nod? a-b+c [0]\n")


def test_the_checklist_suggests_a_grade_and_never_gives_it(browser: Browser, panel: str, shared: Store) -> None:
    with seated(browser, panel, "jo") as seat:
        seat.wait_for_case()
        seat.press("k", "Space", "Escape")
        seat.wait_for_text(".slot:not([hidden]) .suggestion", "suggests 3 Major")
        seat.wait_for_text(".count", "0 of 6")
        seat.press("2")
        seat.press("e", "Space", "Tab", "Space", "Escape")
        seat.wait_for_text(".count", "1 of 6")
        seat.wait_until_saved()
        seat.wait_for_text(".slot:not([hidden]) summary.marked", "Wrong")
        seat.page.wait_for_timeout(1500)  # what is added to a grade is sent when the reader pauses
        seat.wait_until_saved()
    newest = scores_of(shared, "jo")[-1]
    assert (newest.grade, newest.suggested, newest.criteria) == (2, 3, ("text.plane",))
    assert newest.error_types == {"anatomical_structures": ("wrong",)}


def test_a_locked_grade_is_changed_with_a_reason_only_and_the_old_one_stays(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "kim") as seat:
        finish(seat)
        seat.wait_until_saved()
        seat.press("ArrowLeft")
        seat.wait_for_text(".count", "locked")
        seat.press("3")
        assert len(scores_of(shared, "kim")) == 6
        seat.page.locator(".slot:not([hidden]) .current .change").focus()
        seat.press("Enter", "3", "Enter")
        seat.wait_for_text("dialog .problem", "Please give a reason")
        seat.page.locator("dialog textarea").focus()
        seat.page.keyboard.type("looked at the wrong slot")
        seat.press("Enter")
        seat.wait_for_text(".slot:not([hidden]) .suggestion", "looked at the wrong slot")
        seat.wait_until_saved()
        seat.press("Enter")
        seat.wait_for_text(".count", "0 of 6")
    scores = scores_of(shared, "kim")
    assert [score.grade for score in scores] == [1] * 6 + [3]
    assert (scores[-1].reason, scores[-1].replaces) == ("looked at the wrong slot", scores[0].score_id)


def test_of_two_windows_the_one_left_behind_shows_the_open_case(
    browser: Browser, panel: str, shared: Store
) -> None:
    with seated(browser, panel, "lea") as seat:
        first = seat.wait_for_case()
        behind = Seat(seat.context.new_page(), seat.context, panel)
        behind.page.goto(f"{panel}/review/")
        assert behind.wait_for_case() == first
        second = finish(seat)
        seat.wait_until_saved()
        behind.press("3")
        assert behind.wait_for_case(but=first) == second
        behind.wait_for_text(".alert", "locked")
        behind.wait_for_text(".count", "0 of 6")
    assert [score.grade for score in scores_of(shared, "lea")] == [1] * 6


def test_markup_and_template_code_are_shown_as_text(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "max") as seat:
        seat.wait_for_case()
        shown = seat.text(".slot:not([hidden]) .interpretation")
        assert all(words in shown for words in HOSTILE)
        assert seat.text(".study-title") == HOSTILE[1]
        assert seat.page.evaluate("window.stolen") is None
        assert seat.page.locator("#reading script, #reading img[src=x]").count() == 0
        assert seat.faults == []


def test_a_break_and_a_washout_say_what_comes_next_and_when(browser: Browser, panel: str, shared: Store) -> None:
    with seated(browser, panel, "sam") as seat:
        seat.wait_for_case()
        seat.press(*"111111", "Enter")
        seat.wait_for_text(".place", "Time for a break")
        seat.wait_for_text(".place", "Go on from")
        assert len(scores_of(shared, "sam")) == 6
        seat.press("ArrowLeft")
        seat.wait_for_case()
        seat.wait_for_text(".count", "locked")
    with seated(browser, panel, "tom") as seat:
        finish(seat)
        seat.press(*"222222", "Enter")
        seat.wait_for_text(".place", "Pause before the second part")


def test_who_does_not_grade_is_told_so(browser: Browser, panel: str) -> None:
    for login, words in (("curt", "This account does not grade"), ("new", "No study yet")):
        with seated(browser, panel, login) as seat:
            seat.wait_for_text(".place", words)
            assert seat.case == ""


def test_logging_out_ends_the_session_and_leaves_nothing_behind(browser: Browser, panel: str) -> None:
    with seated(browser, panel, "max") as seat:
        seat.wait_for_case()
        seat.page.get_by_role("button", name="Log out").click()
        seat.page.wait_for_url("**/login")
        assert seat.page.evaluate("localStorage.length + sessionStorage.length") == 0
        seat.page.goto(f"{panel}/review/")
        assert "/login" in seat.page.url


def test_an_adjudicator_settles_between_anonymous_grades_beside_them(browser: Browser, store: Store) -> None:
    a_study(store, 2, readers=("uma", "vic"))
    add_account(store, "ada", Role.ADJUDICATOR)
    server = a_server(store, clock=utc_now)
    server.reader("uma").read_all(1)
    server.reader("vic").read_all(3)
    with a_running_panel(store) as url, seated(browser, url, "ada") as seat:
        before = seat.wait_for_case()
        seat.wait_for_text(".mode", "Adjudication")
        seat.wait_for_text(".progress", "Case 1 of 6")
        assert "Reader 1" in seat.text(".slot:not([hidden]) .others")
        assert not {"uma", "vic"} & set(seat.text("#reading").split())
        seat.press("2", "2", "Enter")
        seat.wait_for_case(but=before)
        seat.wait_until_saved()
    with Studies(store).reading() as rows:
        made = [one for study_id in rows.study_ids() for one in rows.adjudications(study_id)]
    assert [one.grade for one in made] == [2, 2]
    assert len(scores_of(store, "uma")) == 12

"""The real panel in a real Chromium: a server on a port of this machine, and readers who sit down at it."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import ReviewScore, StudyStep
from review.mounting import mount_review
from tests.browser import FLAGS
from tests.builders import a_free_port, require
from tests.review.reading import PASSWORD

SHOWN = "document.querySelector('#reading')?.dataset.case"
TEXT = "selector => document.querySelector(selector)?.innerText ?? ''"


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Where there is no Chromium the tests are skipped, in CI they fail."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(chromium is not None, "Chromium: install your system's package 'chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def a_running_panel(store: Store, **more: Any) -> Iterator[str]:
    """Serve the panel, page and all, and yield its address."""
    port = a_free_port()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    mount_review(app, store, **more)
    config = uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Seat:
    """A reader at a screen; everything is done by keyboard unless a test says otherwise."""

    page: Page
    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def log_in(self, login: str) -> None:
        self.page.goto(f"{self.url}/review/")
        self.page.wait_for_selector("#login:focus")  # the login page's own rules forbid what evaluates a string
        self.page.keyboard.type(login)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/login" not in url)
        self.page.wait_for_selector("#reading .place > *, #reading .side > *", state="attached")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def case(self) -> str:
        return str(self.page.evaluate(SHOWN) or "")

    def wait_for_case(self, but: str = "") -> str:
        """Wait until a case, another than `but`, is on the screen; return its token."""
        self.page.wait_for_function(f"{SHOWN} && {SHOWN} !== '{but}'")
        return self.case

    def text(self, selector: str) -> str:
        return str(self.page.evaluate(TEXT, selector))

    def wait_for_text(self, selector: str, words: str) -> None:
        self.page.wait_for_function(
            "([selector, words]) => document.querySelector(selector)?.innerText.includes(words)",
            arg=[selector, words],
        )

    def wait_until_saved(self) -> None:
        self.page.wait_for_selector(".saved[data-state=saved]")


@contextmanager
def seated(browser: Browser, url: str, login: str = "", **options: Any) -> Iterator[Seat]:
    """Sit somebody down at a browser of their own."""
    options.setdefault("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    page = context.new_page()
    seat = Seat(page, context, url)
    page.on("pageerror", lambda error: seat.faults.append(str(error)))
    page.on("console", lambda line: _note(seat, line.type, line.text))
    page.on("request", lambda request: seat.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
    if login:
        seat.log_in(login)
    yield seat
    context.close()


def _note(seat: Seat, kind: str, line: str) -> None:
    """Keep what the browser complains about; a file that Gradio's page asks for at the site's root is not there."""
    is_missing_file = line.startswith("Failed to load resource")
    if kind == "error" and not is_missing_file:
        seat.faults.append(line)


def scores_of(store: Store, reader: str) -> list[ReviewScore]:
    with Studies(store).reading() as rows:
        found = [score for study_id in rows.study_ids() for score in rows.scores_of_study(study_id)]
    return [score for score in found if score.reader == reader]


def steps_of(store: Store, reader: str) -> list[StudyStep]:
    with Studies(store).reading() as rows:
        found = [step for study_id in rows.study_ids() for step in rows.steps_of_study(study_id)]
    return [step for step in found if step.reader == reader]


def plan_of(store: Store, study_id: str, reader: str) -> list[str]:
    """The tokens of a reader's cases in their order."""
    with Studies(store).reading() as rows:
        return [case.token for case in rows.presentations(study_id, reader)]

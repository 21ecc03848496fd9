"""A real Chromium, logged in to a real Label Studio."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from annotator.labelstudio.credentials import Credentials
from tests.builders import require

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
READY = "window.Htx?.annotationStore?.selected?.regionStore.regions.length > 0"


@contextmanager
def logged_in(url: str, login: Credentials) -> Iterator[Page]:
    """Open a page after logging in at `url`; where there is no Chromium the test is skipped, in CI it fails."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(chromium is not None, "Chromium: install your system's package 'chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/user/login")
        page.fill("input[name=email]", login.username)
        page.fill("input[name=password]", login.password)
        page.click("button[type=submit]")
        page.wait_for_function("!location.pathname.startsWith('/user/login')")
        yield page
        browser.close()

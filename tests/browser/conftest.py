"""A Chromium before a whole Berth: people who sign in, pages that are watched for errors, pictures where wanted."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests import system
from tests.system import Berth

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE, NARROW = {"width": 1440, "height": 960}, {"width": 380, "height": 800}
SECONDS = 60


@pytest.fixture(scope="package")
def berth() -> Iterator[Berth]:
    with system.running() as found:
        yield found


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("Chromium is missing: install it to run the tests marked browser.")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield found
        found.close()


class Watched:
    """What a page complains about; an answer that refuses a page is no complaint, one that refuses a file is."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        refused = "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not (refused and "/static/" not in message.location["url"]):
            self.complaints.append(f"{message.text} ({message.location})")


Visit = Callable[..., Page]


@pytest.fixture
def visit(berth: Berth, browser: Browser) -> Iterator[Visit]:
    """A page for a person who has signed in, or for nobody; it must not complain until the test is over."""
    watched: list[Watched] = []

    def open_as(user: str = "", *, scripts: bool = True) -> Page:
        context = browser.new_context(viewport=WIDE, java_script_enabled=scripts, base_url=berth.url)  # type: ignore[arg-type]
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        watched.append(Watched(page))
        if user:
            sign_in(page, user, berth.accounts[user])
            page.wait_for_url(f"{berth.url}/")
        return page

    yield open_as
    for context in browser.contexts:
        context.close()
    assert [complaint for one in watched for complaint in one.complaints] == []


def sign_in(page: Page, user: str, password: str) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Keeps what a page looks like in the folder that SCREENSHOTS names; without it, nothing."""
    folder = os.environ.get("SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return take


@pytest.fixture(autouse=True)
def _cleared(berth: Berth) -> Iterator[None]:
    """No test leaves a workspace to the next."""
    yield
    for user in system.USERS:
        berth.api(user).delete_all()

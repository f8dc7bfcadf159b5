"""A Chromium before a whole Berth: people who sign in, pages that are watched for errors, pictures where wanted."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests import system
from tests.browser.own_network import OwnNetwork
from tests.system import Berth

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE, NARROW = {"width": 1440, "height": 960}, {"width": 380, "height": 800}
SECONDS = 60
expect.set_options(timeout=SECONDS * 1000)
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="package")
def berth_by_origin() -> Iterator[Berth]:
    with system.running() as found:
        yield found


@pytest.fixture(scope="package")
def berth(berth_by_origin: Berth) -> Berth:
    return berth_by_origin


@pytest.fixture(scope="package")
def network() -> OwnNetwork | None:
    """That of the browser; whoever is not root has it in the machine's, where it may lose a request now and then."""
    return OwnNetwork() if os.geteuid() == 0 else None


@pytest.fixture(scope="package")
def browser(network: OwnNetwork | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("Chromium is missing: install it to run the tests marked browser.")
    there = network.program(program, tmp_path_factory.mktemp("program")) if network else program
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=there, args=ARGUMENTS)
        yield found
        found.close()


class Watched:
    """What a page complains about; an answer that refuses a page is no complaint, one that refuses a file is.

    Chromium gives up what it has not sent yet when a network of its machine comes or goes, as those of containers do
    here. A page asks again, so it is no complaint either: only what it says when that was in vain.
    """

    UNSENT = ("net::ERR_NETWORK_CHANGED", "net::ERR_CONNECTION_FAILED")

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        refused = "the server responded with a status of 4" in message.text
        expected = (refused and "/static/" not in message.location["url"]) or message.text.endswith(self.UNSENT)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(f"{message.text} ({message.location})")


Visit = Callable[..., Page]


@pytest.fixture
def visit(berth: Berth, browser: Browser, network: OwnNetwork | None) -> Iterator[Visit]:
    """A page for a person who has signed in, or for nobody; it must not complain until the test is over."""
    watched: list[Watched] = []
    if network:
        network.let_in(berth.server.port)

    def open_as(user: str = "", *, scripts: bool = True, zone: str = "UTC") -> Page:
        where = {"base_url": berth.url, "timezone_id": zone}
        context = browser.new_context(viewport=WIDE, java_script_enabled=scripts, **where)  # type: ignore[arg-type]
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


@pytest.fixture
def inspect(picture: Callable[[Page, str], None]) -> Callable[[Page, str], None]:
    """Take a picture of the page in four ways, and judge it in two: each width and each scheme is in one of them."""

    def look(page: Page, name: str) -> None:
        for width, size, judged in (("wide", WIDE, "light"), ("narrow", NARROW, "dark")):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                picture(page, f"{name}-{scheme}-{width}")
                if scheme == judged:
                    found = Axe().run(page)
                    assert found.violations_count == 0, f"{name} {scheme} {width}: {found.generate_report()}"
            assert page.evaluate(SIDEWAYS) <= 0, f"{name} scrolls sideways when {width}"
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    return look


def at(page: Page, path: str) -> Page:
    page.goto(path)
    return page

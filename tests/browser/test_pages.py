"""Every page, light and dark, wide and narrow: nothing axe objects to, nothing to scroll sideways, no complaints."""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, WIDE, Visit
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FORBIDDEN = """() => {
    const form = document.querySelector("form.account-menu");
    form.action = "/images/tiny/build/";
    form.submit();
}"""


@pytest.fixture
def inspect(picture: Callable[[Page, str], None]) -> Callable[[Page, str], None]:
    """Look at the page that is open in four ways."""

    def look(page: Page, name: str) -> None:
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                picture(page, f"{name}-{scheme}-{width}")
                found = Axe().run(page)
                assert found.violations_count == 0, f"{name} {scheme} {width}: {found.generate_report()}"
            assert page.evaluate(SIDEWAYS) <= 0, f"{name} scrolls sideways when {width}"
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    return look


def at(page: Page, path: str) -> Page:
    page.goto(path)
    return page


def test_pages_of_somebody_who_has_nothing_yet(visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    inspect(at(visit(), "/sign-in/"), "sign-in")
    page = visit("outsider")
    inspect(page, "home-empty")
    for name, path in PLAIN.items():
        inspect(at(page, path), name)
    page.goto("/")
    page.get_by_text("Oda Berg").first.click()
    page.evaluate(FORBIDDEN)
    expect(page.get_by_text("Error 403")).to_be_visible()
    inspect(page, "403")


PLAIN = {
    "workspaces-empty": "/workspaces/",
    "catalog": "/workspaces/new/",
    "launch": "/workspaces/new/jupyter-python/",
    "images": "/images/",
    "image": "/images/jupyter-python/",
    "tokens": "/tokens/",
    "404": "/workspaces/01ARZ3NDEKTSV4RRFFQ69G5FAV/",
}


def test_pages_of_workspaces_in_every_state(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    caller = berth.api("scientist")
    made = {
        "starting": caller.launch(BOOT="120"),
        "running": caller.launch(),
        "failed": caller.launch(DIE="3"),
        "stopped": caller.launch(),
    }
    caller.wait(made["stopped"], "running")
    caller.act(made["stopped"], "stop")
    for state, pk in made.items():
        caller.wait(pk, state)
    page = visit("scientist")
    inspect(page, "home")
    inspect(at(page, "/workspaces/"), "workspaces")
    for state, pk in made.items():
        inspect(at(page, f"/workspaces/{pk}/"), state)
    inspect(at(page, f"/workspaces/{made['running']}/delete/"), "confirm")


def test_a_new_token_is_shown_once(visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("outsider"), "/tokens/")
    page.get_by_role("textbox", name="Name").fill("my laptop")
    page.get_by_label("Read workspaces").check()
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("input[value^='berth_']")).to_be_visible()
    inspect(page, "token-made")
    assert "berth_" not in at(page, "/tokens/").content()


def focused(page: Page) -> Iterator[str]:
    """The text of what has the focus, Tab by Tab."""
    while True:
        page.keyboard.press("Tab")
        yield page.evaluate("(document.activeElement.innerText || document.activeElement.value || '').trim()")


def tab_to(page: Page, text: str) -> None:
    for _, found in zip(range(60), focused(page), strict=False):
        if text in found:
            return
    pytest.fail(f"“{text}” is not reached with Tab.")


def test_a_launch_needs_no_mouse(berth: Berth, visit: Visit) -> None:
    page = visit("scientist")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    steps = {"Launch a workspace": "New workspace", "Tiny": "Launch Tiny", "Launch Tiny": "tiny-1"}
    for text, title in steps.items():
        tab_to(page, text)
        page.keyboard.press("Enter")
        expect(page).to_have_title(f"{title} · Berth")
        page.wait_for_load_state()
    expect(page.get_by_role("button", name="Open")).to_be_visible()


def test_everything_works_without_scripts(berth: Berth, visit: Visit) -> None:
    page = visit("scientist", scripts=False)
    page.goto("/workspaces/new/tiny/")
    page.get_by_role("button", name="Launch Tiny").click()
    pk = page.url.rstrip("/").rsplit("/", 1)[1]
    caller = berth.api("scientist")
    caller.wait(pk, "running")
    page.reload()
    page.get_by_role("button", name="Stop").click()
    caller.wait(pk, "stopped")
    page.goto(f"/workspaces/{pk}/delete/")
    page.get_by_role("button", name="Delete workspace").click()
    expect(page.get_by_text("is deleted")).to_be_visible()
    assert caller.workspace(pk)["state"] == "deleted"

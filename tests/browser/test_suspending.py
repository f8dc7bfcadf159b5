"""Suspending by a button, in a real browser: on the workspace's page, and at its own address."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SECONDS, Visit
from tests.callers import eventually
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.e2e]

PATIENCE = SECONDS * 1000


def test_a_workspace_is_suspended_by_a_button_and_its_door_says_so(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]
) -> None:
    caller = berth.api("scientist")
    pk = caller.running()
    page = visit("scientist")
    page.goto(f"/workspaces/{pk}/")
    with page.context.expect_page() as new:
        page.get_by_role("button", name="Open").click()
    inside = new.value
    inside.wait_for_load_state()

    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("heading", name="Suspended")).to_be_visible(timeout=PATIENCE)
    inspect(page, "suspended")

    def shut() -> bool:
        inside.reload()
        return inside.title().startswith("This workspace is suspended")

    eventually(shut, "the page at the closed door")
    assert inside.get_by_role("link", name="Resume").is_visible()
    caller.act(pk, "resume")
    expect(page.get_by_role("heading", name="Running")).to_be_visible(timeout=PATIENCE)

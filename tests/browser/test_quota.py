"""Asked for in one browser, granted in another, and what waited starts by itself with its device."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from portal.lib import clock
from tests.browser.conftest import Visit, at
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]

TOLD = "import os; print(os.environ['NVIDIA_VISIBLE_DEVICES'])"
WHY = "Ablations for the review, two runs at a time."


def test_what_waits_for_a_grant_starts_by_itself(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]
) -> None:
    caller = berth.api("scientist")
    first, second = (caller.launch(size="tiny-gpu") for _ in range(2))
    caller.wait(first, "running")
    page = at(visit("scientist"), f"/workspaces/{second}/")
    expect(page.get_by_text("Its owner uses 1 of 1 × A100; more can be asked for.").first).to_be_visible()
    page.get_by_role("link", name="Ask for GPUs").click()
    page.get_by_label("Until").fill((clock.now() + timedelta(days=7)).date().isoformat())
    page.get_by_label("What for").fill(WHY)
    inspect(page, "quota-ask")
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_text("Sent. You are told")).to_be_visible()
    inspect(page, "quota-request-own")

    lead = at(visit("lead"), "/")
    lead.get_by_role("link", name="1 request for GPUs").click()
    inspect(lead, "approvals")
    lead.get_by_role("link", name="asks for 1 × A100").click()
    expect(lead.get_by_text(WHY)).to_be_visible()
    inspect(lead, "quota-request")
    lead.get_by_role("button", name="Deny").click()
    expect(lead.get_by_text("Say why in 1 to")).to_be_visible()
    lead.get_by_role("button", name="Approve").click()
    expect(lead.get_by_text("Done: approved.")).to_be_visible()
    inspect(lead, "approvals-answered")

    expect(page.get_by_role("heading", name="Granted")).to_be_visible()
    running = caller.wait(second, "running")
    devices = {berth.inside(one, TOLD).strip() for one in (caller.workspace(first), running)}
    assert devices == {"simulated-a100-0", "simulated-a100-1"}
    inspect(at(page, "/quota/"), "quota")
    inspect(at(visit("outsider"), "/quota/"), "quota-empty")
    berth.assert_invariants()

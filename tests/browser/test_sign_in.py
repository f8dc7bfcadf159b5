"""Signing in and being kept out."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, sign_in
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]


def test_a_page_asks_who_you_are_and_leads_back_to_where_you_wanted_to_go(berth: Berth, visit: Visit) -> None:
    page = visit()
    page.goto("/images/")
    expect(page).to_have_title("Sign in · Berth")
    page.get_by_label("Username").fill("scientist")
    page.get_by_label("Password").fill(berth.accounts["scientist"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{berth.url}/images/")


def test_a_wrong_password_is_said_and_the_sixth_try_is_locked_out(berth: Berth, visit: Visit) -> None:
    page = visit()
    for _ in range(4):
        sign_in(page, "lead", "not the password")
        expect(page.get_by_role("alert")).to_contain_text("correct")
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status))
    sign_in(page, "lead", "not the password")
    sign_in(page, "lead", berth.accounts["lead"])
    expect(page.get_by_role("alert")).to_contain_text("Wait 15 minutes")
    assert 429 in statuses
    sign_in(page, "scientist", berth.accounts["scientist"])
    page.wait_for_url(f"{berth.url}/")


def test_signing_out_ends_the_session(berth: Berth, visit: Visit) -> None:
    page = visit("scientist")
    page.get_by_text("Vera Rosén").first.click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{berth.url}/sign-in/")
    page.goto("/workspaces/")
    expect(page).to_have_title("Sign in · Berth")

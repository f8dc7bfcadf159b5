"""The way that matters most: from signing in to a computed plot in JupyterLab, and back to it on another day."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Visit
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.e2e]

FIRST_BUILD = 900_000
"""Milliseconds that building the image may take where this machine has never done it."""
CODE = "import matplotlib.pyplot as plt; plt.plot([n * n for n in range(9)]); print('sum', sum(range(101)))"


def test_a_notebook_is_launched_computed_saved_and_found_again(
    berth: Berth, visit: Visit, picture: Callable[[Page, str], None]
) -> None:
    page = visit("scientist")
    page.get_by_role("main").get_by_role("link", name="Launch a workspace").click()
    page.get_by_role("main").get_by_role("link", name="JupyterLab", exact=True).click()
    page.locator("summary", has_text="and variables").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("churn study")
    page.get_by_role("button", name="Launch JupyterLab").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("churn study")
    page.evaluate("window.neverReloaded = true")
    picture(page, "starting")
    opens = page.get_by_role("button", name="Open churn study")
    expect(opens).to_be_visible(timeout=FIRST_BUILD)
    assert page.evaluate("window.neverReloaded")
    picture(page, "running")
    lab = opened(page, page.context)
    compute(lab)
    picture(lab, "notebook")
    lab.close()

    page.get_by_role("button", name="Stop churn study").click()
    page.get_by_role("button", name="Start churn study").click()
    expect(opens).to_be_visible()
    picture(page, "started-again")
    lab = opened(page, page.context)
    lab.get_by_text("study.ipynb").first.dblclick()
    expect(lab.get_by_text("sum 5050")).to_be_visible()
    expect(lab.locator(".jp-OutputArea img")).to_be_visible()
    picture(lab, "found-again")


def opened(page: Page, context: BrowserContext) -> Page:
    """Press Open and follow the new tab into JupyterLab."""
    with context.expect_page() as new:
        page.get_by_role("button", name="Open churn study").click()
    lab = new.value
    lab.wait_for_selector(".jp-LauncherCard, .jp-NotebookPanel")
    assert ".localhost" in lab.url
    return lab


def compute(lab: Page) -> None:
    lab.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
    lab.wait_for_selector("text=| Idle")
    lab.locator(".jp-Notebook .cm-content").first.click()
    lab.keyboard.type(CODE)
    lab.keyboard.press("Shift+Enter")
    expect(lab.get_by_text("sum 5050")).to_be_visible()
    expect(lab.locator(".jp-OutputArea img")).to_be_visible()
    lab.keyboard.press("Control+s")
    name = lab.locator(".jp-Dialog input.jp-mod-styled").first
    name.fill("study.ipynb")
    lab.get_by_role("button", name="Rename and Save").click()
    expect(lab.get_by_role("tab", name="study.ipynb")).to_be_visible()
    lab.wait_for_selector(".jp-Document:not(.jp-mod-dirty)", state="attached")

"""How few clicks a launch takes: every IDE of the catalog in at most three from Home, the last one again in one."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit, at
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]

MOST = 3
IDES = {"JupyterLab": "jupyter-python", "VS Code": "vscode", "RStudio": "rstudio"}


class Clicks:
    """Clicks with the mouse, and counts them; nothing else leads from page to page."""

    def __init__(self, page: Page) -> None:
        self.page = at(page, "/")
        self.count = 0

    def on(self, target: Locator) -> None:
        target.click()
        self.count += 1

    def arrived(self, name: str) -> str:
        """The workspace of this name that the last click has made."""
        expect(self.page).to_have_title(f"{name} · Berth")
        return self.page.url.rstrip("/").rsplit("/", 1)[1]


def test_a_new_user_launches_each_ide_in_three_clicks_and_the_last_again_in_one(berth: Berth, visit: Visit) -> None:
    page = visit("outsider")
    assert berth.api("outsider").do("GET", "/workspaces/")["results"] == []
    for template, slug in IDES.items():
        clicks = Clicks(page)
        clicks.on(page.get_by_role("banner").get_by_role("link", name="New workspace"))
        clicks.on(page.get_by_role("main").get_by_role("link", name=template, exact=True))
        clicks.on(page.get_by_role("button", name=f"Launch {template}"))
        made = berth.api("outsider").workspace(clicks.arrived(f"{template.lower()}-1"))
        assert (made["template"], clicks.count <= MOST) == (slug, True)
    again = Clicks(page)
    again.on(page.get_by_role("button", name="Launch RStudio"))
    assert berth.api("outsider").workspace(again.arrived("rstudio-2"))["template"] == "rstudio"
    assert again.count == 1

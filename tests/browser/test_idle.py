"""Windows of VS Code that are open: one that nobody touches is no use, one in which somebody types is."""

import json
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, TimeoutError

from tests.browser.conftest import SECONDS, Visit
from tests.callers import Caller, eventually
from tests.e2e.test_idle import idle_end, launched, runs_because, short
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.e2e]

OPENING = 4 * SECONDS
QUIET = {
    "label": "quiet",
    "type": "shell",
    "command": "sleep 1000000",
    "group": {"kind": "build", "isDefault": True},
    "problemMatcher": [],
}
"""A task that uses no CPU, as the one that VS Code runs when its keys for building are pressed."""
MAKE = """
import pathlib
folder = pathlib.Path("/home/berth/quiet/.vscode")
folder.mkdir(parents=True, exist_ok=True)
(folder / "tasks.json").write_text({tasks!r})
"""


def opened(caller: Caller, visit: Visit, pk: str) -> Page:
    """A window of its own browser, once the editor is there."""
    page = visit("scientist")
    page.goto(f"/workspaces/{pk}/")
    with page.context.expect_page() as new:
        page.get_by_role("button", name=f"Open {caller.workspace(pk)['name']}").click()
    window = new.value
    page.close()
    eventually(lambda: has_opened(window), "the editor of VS Code", OPENING)
    return window


def has_opened(window: Page) -> bool:
    """Loaded again where it broke off: Chromium does so when the networks of the machine change."""
    try:
        window.locator(".explorer-folders-view").wait_for(timeout=SECONDS * 1000)
    except TimeoutError:
        window.reload()
        return False
    return True


def run_task(berth: Berth, caller: Caller, visit: Visit, pk: str) -> None:
    """In a window that is closed as soon as it runs."""
    workspace = caller.workspace(pk)
    berth.inside(workspace, MAKE.format(tasks=json.dumps({"version": "2.0.0", "tasks": [QUIET]})))
    window, container = opened(caller, visit, pk), berth.container(workspace)
    window.goto(urljoin(window.url, "/?folder=/home/berth/quiet"))
    eventually(lambda: has_opened(window), "the folder of the task", OPENING)

    def begun() -> bool:
        window.keyboard.press("Control+Shift+B")  # it does nothing until VS Code knows its tasks
        window.wait_for_timeout(1000)
        return "sleep" in berth.engine.run("top", container)

    eventually(begun, "the task", OPENING)
    window.close()


def test_a_window_is_used_while_somebody_types_in_it(berth: Berth, visit: Visit) -> None:
    """A quiet task of a window that is closed keeps its workspace running; a window that nobody touches does not."""
    caller = berth.api("scientist")
    slug = short(berth, "vscode")
    [task] = launched(caller, slug, "task")
    run_task(berth, caller, visit, task)
    [typed] = launched(caller, slug, "typed")
    window = opened(caller, visit, typed)
    [untouched] = launched(caller, slug, "untouched")
    opened(caller, visit, untouched)
    last = idle_end(caller, untouched, lambda: window.keyboard.press("Shift"))
    assert any(opening in last for opening in ("somebody used it", "its CPU was busy"))
    runs_because(caller, typed, "traffic")
    runs_because(caller, task, "terminal")
    berth.engine.run("exec", berth.container(caller.workspace(task)), "pkill", "sleep")
    idle_end(caller, typed)
    idle_end(caller, task)

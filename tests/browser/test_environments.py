"""Environments in a real browser, on origins of their own and below paths: what only works when WebSockets do."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import system
from tests.browser.conftest import SECONDS, Visit
from tests.callers import eventually
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.e2e]
Picture = Callable[[Page, str], None]

WHO = "outsider"
"""Other tests need a home without notebooks that JupyterLab would open again."""
STARTING = 120
PATIENCE = SECONDS * 1000


@pytest.fixture(scope="module")
def berth_by_path() -> Iterator[Berth]:
    with system.running(by_path=True) as found:
        yield found


@pytest.fixture(scope="module", params=["path"])
def berth(request: pytest.FixtureRequest) -> Berth:
    found: Berth = request.getfixturevalue(f"berth_by_{request.param}")
    return found


IN_BOTH_WAYS = pytest.mark.parametrize("berth", ["origin", "path"], indirect=True, scope="module")


def opened(berth: Berth, visit: Visit, template: str) -> tuple[str, Page]:
    """A workspace of this template that runs, and the tab that its Open button leads to."""
    caller = berth.api(WHO)
    pk = caller.launch(template, "medium")
    name = caller.wait(pk, "running", seconds=STARTING)["name"]
    page = visit(WHO)
    page.goto(f"/workspaces/{pk}/")
    with page.context.expect_page() as new:
        page.get_by_role("button", name=f"Open {name}").click()
    host, path = berth.server.place(pk)
    assert new.value.url.startswith(f"http://{host}:{berth.server.port}{path}")
    return pk, new.value


@IN_BOTH_WAYS
def test_a_notebook_computes_in_python_and_in_r(berth: Berth, visit: Visit, picture: Picture) -> None:
    _, lab = opened(berth, visit, "jupyter-datascience")
    for kernel, code, said in (
        ("Python 3 (ipykernel)", "print('sum', sum(range(101)))", "sum 5050"),
        ("R", "cat('R sum', sum(1:100))", "R sum 5050"),
    ):
        lab.locator(f".jp-LauncherCard[data-category=Notebook][title='{kernel}']").click()
        notebook = lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        lab.wait_for_selector(f"text={kernel} | Idle")
        notebook.locator(".cm-content").first.click()
        lab.keyboard.type(code)
        lab.keyboard.press("Shift+Enter")
        expect(notebook.get_by_text(said, exact=True)).to_be_visible(timeout=PATIENCE)
        picture(lab, f"notebook-{kernel[:1]}")
        lab.get_by_role("button", name="New Launcher (Ctrl+Shift+L)").click()


@IN_BOTH_WAYS
def test_vs_code_opens_the_home_edits_saves_and_runs_python_in_its_terminal(
    berth: Berth, visit: Visit, picture: Picture
) -> None:
    pk, code = opened(berth, visit, "vscode")
    workspace = berth.api(WHO).workspace(pk)
    berth.inside(workspace, "open('/home/berth/study.py', 'w').write('total = sum(range(101))\\n')")
    code.locator(".explorer-folders-view").get_by_text("study.py").dblclick()
    editor = code.locator(".editor-instance .view-lines")
    expect(editor).to_contain_text("total", timeout=PATIENCE)
    editor.click()
    code.keyboard.press("Control+End")
    code.keyboard.insert_text("open('result', 'w').write(f'sum {total}')")  # at once: nothing is completed meanwhile
    code.keyboard.press("Control+s")

    def read(name: str) -> str:
        return berth.inside(workspace, f"import os; print(open('{name}').read() if os.path.exists('{name}') else '')")

    eventually(lambda: "write" in read("/home/berth/study.py"), "the saved file")
    code.keyboard.press("Control+`")
    code.locator(".xterm-helper-textarea").wait_for(state="attached")

    def ran() -> bool:
        """Typed again where a terminal that was just opening has lost some of it."""
        code.locator(".terminal-wrapper").click()
        code.keyboard.insert_text("python study.py; echo $said_what_stays > said")
        code.keyboard.press("Enter")
        code.wait_for_timeout(3_000)
        return (read("/home/berth/result").strip(), read("/home/berth/said").strip() != "") == ("sum 5050", True)

    eventually(ran, "the result of the command", 2 * SECONDS)
    picture(code, "vscode")


def test_a_streamlit_app_answers_to_its_slider(berth: Berth, visit: Visit, picture: Picture) -> None:
    _, app = opened(berth, visit, "streamlit")
    expect(app.get_by_role("heading", name="Hello from your workspace")).to_be_visible(timeout=PATIENCE)
    slider = app.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    expect(app.get_by_text("101", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(app.locator("[data-testid=stVegaLiteChart] svg").first).to_be_visible(timeout=PATIENCE)
    picture(app, "streamlit")


def test_a_shiny_app_draws_its_plot(berth: Berth, visit: Visit) -> None:
    _, app = opened(berth, visit, "shiny")
    expect(app.locator("#walk img")).to_be_visible(timeout=PATIENCE)

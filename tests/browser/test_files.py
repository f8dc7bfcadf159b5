"""The pages of files in a browser: looked at, uploaded to with and without scripts, over a connection that breaks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import SECONDS, Visit, at, sign_in
from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": "# Churn\nWhat we saw."},
        {"cell_type": "code", "source": "import pandas", "outputs": [{"text": "done\n"}, {"data": {"image/png": PNG}}]},
    ]
}


@pytest.fixture
def scientist(berth: Berth) -> Iterator[Caller]:
    """Somebody whose home is there, because a workspace with it has run."""
    found = berth.api("scientist")
    pk = found.running()
    found.act(pk, "stop")
    found.wait(pk, "stopped")
    yield found
    found.delete_all()


@pytest.fixture
def some_files(tmp_path: Path) -> list[Path]:
    contents = {
        "notes.txt": b"What is where\n" * 20,
        "churn.ipynb": json.dumps(NOTEBOOK).encode(),
        "page.html": b"<script>document.title = 'harm'</script>",
        "large.bin": bytes(20 * 1024**2),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def test_files_are_uploaded_looked_at_and_deleted(
    berth: Berth, visit: Visit, scientist: Caller, some_files: list[Path], inspect: Callable[[Page, str], None]
) -> None:
    page = visit("scientist")
    inspect(at(page, "/files/"), "files")
    page.get_by_role("link", name="Home", exact=True).last.click()
    inspect(page, "files-home-empty")
    page.get_by_label("Name").fill("study")
    page.get_by_role("button", name="Make folder").click()
    page.set_input_files("#files", some_files)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="large.bin", exact=True)).to_be_visible(timeout=SECONDS * 1000)
    inspect(page, "files-folder")
    for name in ("notes.txt", "churn.ipynb", "page.html", "large.bin"):
        inspect(at(page, f"/files/home/browse/study/{name}"), f"files-{name.partition('.')[2]}")
        assert "harm" not in page.title()
    inspect(at(page, "/files/home/rename/study/notes.txt"), "files-rename")
    inspect(at(page, "/files/home/delete/study"), "files-delete")
    inspect(at(page, "/files/data-examples/"), "files-not-there")
    inspect(at(page, f"/workspaces/{scientist.running()}/"), "files-workspace")
    page.goto("/files/home/delete/study")
    page.get_by_role("button", name="Delete folder").click()
    expect(page.get_by_text("study is deleted.")).to_be_visible()


def test_an_upload_goes_on_when_the_connection_is_back(
    berth: Berth, browser: Browser, scientist: Caller, some_files: list[Path]
) -> None:
    page = browser.new_page(base_url=berth.url)
    sign_in(page, "scientist", berth.accounts["scientist"])
    page.wait_for_url(f"{berth.url}/")
    page.goto("/files/home/")
    pieces: list[str] = []

    def break_the_second(route: Route) -> None:
        if route.request.method == "PATCH":
            pieces.append(route.request.headers["upload-offset"])
        if len(pieces) == 2 and route.request.method == "PATCH":
            route.abort()
        else:
            route.continue_()

    page.route("**/files/uploads/**", break_the_second)
    page.set_input_files("#files", some_files[-1])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="large.bin", exact=True)).to_be_visible(timeout=SECONDS * 1000)
    assert pieces == ["0", str(8 * 1024**2), str(8 * 1024**2), str(16 * 1024**2)]
    expect(page.locator(".row-item", has_text="large.bin")).to_contain_text("20 MB")
    page.goto("/files/home/delete/large.bin")
    page.get_by_role("button", name="Delete file").click()
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()


def test_files_work_without_scripts(visit: Visit, scientist: Caller, some_files: list[Path]) -> None:
    page = at(visit("scientist", scripts=False), "/files/home/")
    page.set_input_files("#files", some_files[0])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("notes.txt is here.")).to_be_visible()
    page.get_by_role("link", name="Rename notes.txt").click()
    page.get_by_label("Name").fill("read me.txt")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("link", name="Delete read me.txt").click()
    page.get_by_role("button", name="Delete file").click()
    expect(page.get_by_text("read me.txt is deleted.")).to_be_visible()


def test_a_dataset_is_made_and_filled_by_an_administrator(visit: Visit, some_files: list[Path]) -> None:
    page = at(visit("admin"), "/files/data-examples/")
    with page.expect_navigation():
        page.get_by_role("button", name="Make it now").click()
    eventually(lambda: page.reload() and page.locator("#files").is_visible(), "the folder of the dataset")
    page.set_input_files("#files", some_files[0])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="notes.txt", exact=True)).to_be_visible()
    reader = at(visit("outsider"), "/files/data-examples/")
    expect(reader.get_by_role("link", name="notes.txt", exact=True)).to_be_visible()
    expect(reader.locator("#files")).to_have_count(0)

"""Logs through the API: numbered, in pages, and inert as text."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.compute import log_reading
from portal.compute.answers import PAGE_LINES
from portal.compute.logs import ChunkWriter
from portal.compute.models import Allocation
from portal.lib import clock
from runtimes.base import LogLine
from tests.api.conftest import Caller, assert_problem

EVIL = "\x1b[31m<script>alert(1)</script>"


@pytest.fixture
def path(make_workspace: Callable[..., Any], settings: Any, tmp_path: Path) -> str:
    """Of the log of a workspace that wrote 1,200 lines."""
    settings.LOG_STORAGE = tmp_path
    workspace = make_workspace()
    writer = ChunkWriter(Allocation.objects.get(pk=workspace.allocation_id))
    start = clock.now()
    for n in range(1, 1201):
        text = EVIL if n == 1 else f"line {n}"
        writer.add(LogLine(at=start + timedelta(milliseconds=n), stream="stdout", text=text))
    writer.flush()
    return f"/workspaces/{workspace.pk}/logs/"


def test_pages_follow_each_other_without_gap_or_repeat(vera: Caller, path: str) -> None:
    first = vera.get(path).json()
    assert first["results"][0] == {
        "seq": 1,
        "at": first["results"][0]["at"],
        "stream": "stdout",
        "line": EVIL,
    }
    assert [row["seq"] for row in first["results"]] == list(range(1, PAGE_LINES + 1))
    assert (first["next_after"], first["state"]) == (PAGE_LINES, "open")
    second = vera.get(f"{path}?after={first['next_after']}").json()
    assert [row["seq"] for row in second["results"]] == list(range(PAGE_LINES + 1, 1201))
    third = vera.get(f"{path}?after={second['next_after']}").json()
    assert (third["results"], third["next_after"]) == ([], 1200)


def test_the_tail_is_the_last_lines(vera: Caller, path: str) -> None:
    assert [row["seq"] for row in vera.get(f"{path}?tail=3").json()["results"]] == [1198, 1199, 1200]
    assert [row["seq"] for row in vera.get(f"{path}?tail=3&after=1199").json()["results"]] == [1200]


def test_text_is_the_lines_alone_and_inert(vera: Caller, path: str) -> None:
    response = vera.get(f"{path}?format=text")
    pieces = list(response.streaming_content)
    lines = b"".join(pieces).decode().split("\n")
    assert (len(lines), lines[0], lines[-2]) == (1201, EVIL, "line 1200")
    assert len(pieces) == 2
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"),
        ("after=nan", "after"),
        ("after=9223372036854775808", "after"),
        ("after=1e309", "after"),
        ("tail=0", "tail"),
        ("tail=1000000", "tail"),
        ("format=html", "format"),
        ("at=yesterday", "at"),
        (f"search={'x' * 201}", "search"),
    ],
)
def test_bad_questions_are_named(vera: Caller, path: str, query: str, field: str) -> None:
    assert_problem(vera.get(f"{path}?{query}"), 422, field)


def test_before_anything_is_written_the_log_is_empty(vera: Caller, make_workspace: Callable[..., Any]) -> None:
    answer = vera.get(f"/workspaces/{make_workspace().pk}/logs/").json()
    assert answer == {"results": [], "next_after": 0, "state": "open"}


def test_a_time_leads_to_its_first_line(vera: Caller, path: str) -> None:
    at = vera.get(f"{path}?after=1100").json()["results"][0]["at"].replace("+", "%2B")
    assert vera.get(f"{path}?at={at}").json()["results"][0]["seq"] == 1101
    assert vera.get(f"{path}?at=2999-01-01T00:00:00Z").json() == {"results": [], "next_after": 1200, "state": "open"}


def test_a_search_gives_the_lines_that_have_it_and_goes_on(
    vera: Caller, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reading, "SCAN_LINES", 500)
    found, after = [], 0
    while (page := vera.get(f"{path}?search=LINE+11&after={after}").json())["next_after"] > after:
        found += [row["seq"] for row in page["results"]]
        after = page["next_after"]
    assert (found, after) == ([11, *range(110, 120), *range(1100, 1200)], 1200)
    assert_problem(vera.get(f"{path}?search=x&format=text"), 422, "search")

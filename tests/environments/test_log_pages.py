"""The log on a workspace's page: any place of it, by plain links and forms, and never markup from the log."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from portal.compute import log_page, log_reading
from portal.compute.log_html import Marked, text
from portal.compute.logs import ChunkWriter
from portal.compute.models import Allocation
from runtimes.base import LogLine
from tests.conftest import People

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVIL = "\x1b[31m<script>alert(1)</script>\x1b]8;;javascript:alert(1)\x1b\\\"'&"
Ask = Callable[..., str]


@pytest.fixture
def allocation(make_workspace: Callable[..., Any], settings: Any, tmp_path: Path) -> Allocation:
    settings.LOG_STORAGE = tmp_path
    return Allocation.objects.get(pk=make_workspace().allocation_id)


@pytest.fixture
def ask(allocation: Allocation, signed_in: Callable[[Any], Client], people: People) -> Ask:
    """The log's part of the page of a workspace that wrote 2,000 lines, every tenth to stderr."""
    writer = ChunkWriter(allocation)
    for n in range(1, 2001):
        stream = "stderr" if n % 10 == 0 else "stdout"
        writer.add(LogLine(T0 + timedelta(seconds=n), stream, EVIL if n == 7 else f"line {n}"))
    writer.flush()
    client = signed_in(people.vera)

    def ask(query: str = "", part: str = "part/log/") -> str:
        answer = client.get(f"/workspaces/{allocation.owner_id}/{part}{query}")
        assert answer.status_code == 200
        page: str = answer.content.decode()
        return page

    return ask


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="L(\d+)"', page)]


def links(page: str) -> dict[str, str]:
    found = re.findall(r'data-place="(\w+)"\s+href="([^"]*)#log"', page)
    return {name: query.replace("&amp;", "&") for name, query in found}


def sentence(page: str) -> str:
    found: str = re.findall(r'id="log-sentence"[^>]*>([^<]*)<', page)[0]
    return found


def test_the_end_is_shown_first_and_links_lead_through_all_of_it(ask: Ask) -> None:
    page = ask()
    assert numbers(page) == list(range(1501, 2001))
    assert "data-at-end" in page
    seen = numbers(page)
    while numbers(page)[0] > 1:
        page = ask(links(page)["older"])
        seen = numbers(page) + seen
    assert seen == list(range(1, 2001))
    assert "data-at-end" not in page
    assert numbers(ask(links(page)["newer"])) == list(range(501, 1001))
    assert numbers(ask(links(page)["end"]))[-1] == 2000
    assert numbers(ask(links(page)["start"]))[0] == 1


def test_the_whole_page_shows_the_same_without_script(ask: Ask) -> None:
    page = ask("?line=1234", part="")
    assert 1234 in numbers(page)
    assert 'class="log-line log-stdout log-chosen" id="L1234"' in page
    assert '<a class="log-number" href="?line=1234#L1234">1234</a>' in page


def test_nothing_in_a_log_becomes_markup(ask: Ask) -> None:
    page = ask("?after=0")
    assert "<script>alert" not in page
    assert "javascript:" not in page
    assert '<span class="ansi-1">&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;</span>' in page


def test_a_time_leads_to_its_first_line(ask: Ask) -> None:
    page = ask("?at=2026-11-21T12:10:00")
    assert 'log-chosen" id="L600"' in page
    assert numbers(page) == list(range(500, 1000))
    assert sentence(ask("?at=2026-11-22T12:00")) == "Nothing was written then or later."
    assert "Enter a valid date/time." in ask("?at=yesterday")


def test_errors_alone(ask: Ask) -> None:
    page = ask("?stream=stderr")
    assert numbers(page) == list(range(10, 2001, 10))
    assert page.count('<span class="log-kind">err</span>') == 200
    assert links(page)["start"] == "?stream=stderr&after=0"


def test_hits_are_marked_and_stepped_through(ask: Ask) -> None:
    page = ask("?search=LINE+19")
    hits = []
    for _ in range(4):
        hits += re.findall(r'log-chosen" id="L(\d+)"', page)
        assert "<mark>line 19</mark>" in page
        page = ask(links(page)["next"])
    assert hits == ["19", "190", "191", "192"]
    page = ask(links(page)["previous"])
    assert 'log-chosen" id="L192"' in page
    assert sentence(page) == "Line 192 has it."
    assert sentence(ask("?search=LINE&case=on")) == "No line has “LINE”."
    assert sentence(ask("?search=line+1999&after=1999")) == "No line after line 1,999 has “line 1999”."
    assert 'log-chosen" id="L600"' in ask("?search=line&at=2026-11-21T12:10:00")


def test_a_search_that_may_look_no_further_goes_on_from_there(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "SCAN_LINES", 800)
    page, steps = ask("?search=line+1900"), 1
    while "proceed" in links(page):
        assert sentence(page) == f"Not found up to line {800 * steps:,}."
        page, steps = ask(links(page)["proceed"]), steps + 1
    assert (steps, sentence(page)) == (3, "Line 1,900 has it.")


@pytest.mark.parametrize(
    "query", ["?line=999999", "?before=1", "?after=5000", "?after=x", "?line=-1", "?stream=x", "?search=%00", "?at=%00"]
)
def test_a_place_that_is_not_there_shows_another(ask: Ask, query: str) -> None:
    assert numbers(ask(query))


def test_what_is_missing_is_said(ask: Ask, allocation: Allocation) -> None:
    Allocation.objects.update(log_state="over_quota")
    assert "Over quota: lines after 2,000 are not kept" in ask()
    Allocation.objects.update(log_state="removed", log_removed_at=T0)
    assert "Removed on 2026-11-21, 90 days after the end" in ask()


def test_before_anything_is_written(allocation: Allocation, people: People, signed_in: Callable[[Any], Client]) -> None:
    page = signed_in(people.vera).get(f"/workspaces/{allocation.owner_id}/part/log/").content.decode()
    assert sentence(page) == "Nothing written yet."
    assert "data-tail" in page


def test_berths_own_steps_stand_among_the_lines(allocation: Allocation) -> None:
    writer = ChunkWriter(allocation)
    for n in (1, 3, 5):
        writer.add(LogLine(T0 + timedelta(seconds=n), "stdout", f"line {n}"))
    writer.flush()
    own = [(T0 + timedelta(seconds=n), f"step {n}") for n in (0, 2, 9)]
    found = log_page.view(allocation, QueryDict(), log_page.Addresses("", "", "", ""), own)
    words = [re.sub("<[^>]+>", " ", row).split()[-2:] for row in found.rows]
    assert [" ".join(two) for two in words] == ["step 0", "line 1", "step 2", "line 3", "line 5", "step 9"]
    assert sum('class="log-number"></span>' in row for row in found.rows) == 3


def test_strangers_get_no_part_of_it(
    allocation: Allocation, people: People, signed_in: Callable[[Any], Client], bo: Any
) -> None:
    path = f"/workspaces/{allocation.owner_id}/part/log/"
    assert signed_in(people.oda).get(path).status_code == 404
    assert signed_in(bo).get(path).status_code == 403


@pytest.mark.parametrize(
    ("written", "marked", "html"),
    [
        ("a<b", Marked("<"), "a<mark>&lt;</mark>b"),
        ("\x1b[31mab\x1b[0mcd", Marked("BC"), '<span class="ansi-1">a<mark>b</mark></span><mark>c</mark>d'),
        ("ab", Marked("AB", case=True), "ab"),
        ("İx", Marked("x"), "İx"),
        ("aaa", Marked("a"), "<mark>a</mark><mark>a</mark><mark>a</mark>"),
    ],
)
def test_a_hit_is_marked_across_colours(written: str, marked: Marked, html: str) -> None:
    assert text(written, marked) == html


def test_the_download_is_as_it_was_written(
    allocation: Allocation, people: People, signed_in: Callable[[Any], Client]
) -> None:
    writer = ChunkWriter(allocation)
    for n, returned in enumerate((True, True, False)):
        writer.add(LogLine(T0 + timedelta(seconds=n), "stdout", f"{n}%", returned))
    writer.flush()
    answer: Any = signed_in(people.vera).get(f"/workspaces/{allocation.owner_id}/log/")
    assert b"".join(answer.streaming_content) == b"0%\r1%\r2%\n"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in answer["Content-Disposition"]

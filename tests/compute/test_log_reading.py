"""Reading a log: from any place, in both directions, with no more looked at than one request may."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.compute import log_reading as reading
from portal.compute import logs
from portal.compute.lines import Line
from portal.compute.models import Allocation, LogChunk
from runtimes.base import LogLine

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 21, tzinfo=UTC)
Write = Callable[[list[LogLine]], Allocation]


@pytest.fixture
def write(make_workspace: Callable[..., Any], settings: Any, tmp_path: Path) -> Write:
    """A log of these lines."""
    settings.LOG_STORAGE = tmp_path
    allocation = Allocation.objects.get(pk=make_workspace().allocation_id)

    def write(lines: list[LogLine]) -> Allocation:
        writer = logs.ChunkWriter(allocation)
        for line in lines:
            writer.add(line)
        writer.flush()
        return allocation

    return write


def line(number: int, text: str = "", stream: str = "stdout", *, returned: bool = False) -> LogLine:
    return LogLine(T0 + timedelta(seconds=number), stream, text or f"line {number}", returned)


@pytest.fixture
def allocation(write: Write) -> Allocation:
    return write([line(number) for number in range(1, 5001)])


def test_lines_come_in_both_directions(allocation: Allocation) -> None:
    assert [one.seq for one in reading.lines_after(allocation)] == list(range(1, 5001))
    assert [one.seq for one in reading.lines_before(allocation, 4002)] == list(range(4001, 0, -1))
    assert list(reading.lines_before(allocation, 1)) == list(reading.lines_after(allocation, 5000)) == []


def test_only_the_chunks_that_are_needed_are_opened(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def read(chunk: LogChunk) -> list[Line]:
        opened.append(chunk.first_seq)
        return logs.read_chunk(chunk)

    monkeypatch.setattr(reading, "read_chunk", read)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert next(reading.lines_after(allocation, 2500)).seq == 2501
        assert next(reading.lines_before(allocation, 4500)).seq == 4499
        assert reading.first_since(allocation, T0 + timedelta(seconds=3500)) == 3500
        assert reading.last_seq(allocation) == 5000
    assert opened == [2001, 4001, 3001]
    assert len(queries) == 4


@pytest.mark.parametrize(
    "query",
    [
        lambda chunks: chunks.filter(last_seq__gt=2500).order_by("last_seq")[:1],
        lambda chunks: chunks.filter(first_seq__lt=2500).order_by("-first_seq")[:1],
        lambda chunks: chunks.filter(last_at__gte=T0 + timedelta(seconds=2500)).order_by("last_at")[:1],
    ],
)
def test_a_chunk_is_found_by_an_index(allocation: Allocation, query: Callable[[Any], Any]) -> None:
    LogChunk.objects.bulk_create(
        LogChunk(
            allocation=allocation,
            first_seq=1000 * number + 1,
            last_seq=1000 * number + 1000,
            first_at=T0 + timedelta(seconds=1000 * number),
            last_at=T0 + timedelta(seconds=1000 * number + 999),
            size=1,
            path=f"{number}",
        )
        for number in range(10, 10_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE compute_logchunk")
    plan = query(LogChunk.objects.filter(allocation=allocation)).explain(analyze=True)
    assert "Index Scan" in plan
    assert "Sort" not in plan
    assert "Rows Removed" not in plan


def test_a_time_leads_to_its_first_line(allocation: Allocation) -> None:
    assert reading.first_since(allocation, T0) == 1
    assert reading.first_since(allocation, T0 + timedelta(seconds=1234.5)) == 1235
    assert reading.first_since(allocation, T0 + timedelta(days=1)) is None


def test_a_search_stops_and_says_where(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SCAN_LINES", 3000)
    wanted = reading.contains("LINE 4321")
    assert reading.find(reading.lines_after(allocation), wanted) == (None, 3000)
    found, _ = reading.find(reading.lines_after(allocation, 3000), wanted)
    assert found is not None
    assert found.seq == 4321
    found, _ = reading.find(reading.lines_before(allocation, 5001), wanted)
    assert found is not None
    assert reading.find(reading.lines_before(allocation, 100), wanted) == (None, 1)
    assert reading.find(reading.lines_after(allocation, 4000), reading.contains("LINE", case=True)) == (None, 5000)


def test_a_search_reads_through_colours(write: Write) -> None:
    allocation = write([line(1, "\x1b[31mer\x1b[1mror\x1b[0m: bad")])
    assert reading.find(reading.lines_after(allocation), reading.contains("Error: B"))[0] is not None
    assert reading.find(reading.lines_after(allocation), reading.contains("[31m"))[0] is None


BAR = [line(n, f"{n}%", "stderr" if n % 2 else "stdout", returned=True) for n in range(1, 101)]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_bar_is_its_last_state(write: Write, backwards: bool) -> None:
    allocation = write([line(0, "begin"), *BAR, line(101, "end", "stdout")])
    lines: Iterator[Line] = reading.lines_before(allocation, 999) if backwards else reading.lines_after(allocation)
    page = reading.page(lines, 500, bars=False)
    assert [one.text for one in page.lines] == ["begin", "99%", "end"]
    assert (page.first, page.last) == (1, 102)
    again = reading.lines_before(allocation, 999) if backwards else reading.lines_after(allocation)
    assert [one.text for one in reading.page(again, 500, bars=False, keep=5).lines] == ["begin", "4%", "99%", "end"]


def test_a_page_of_few_among_many_says_how_far_it_looked(
    allocation: Allocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SCAN_LINES", 1000)
    page = reading.page(reading.lines_after(allocation, 500), 10, reading.contains("line 1000"))
    assert ([one.seq for one in page.lines], page.first, page.last) == ([1000], 501, 1500)
    assert reading.page(reading.lines_after(allocation, 500), 10).last == 510


def test_a_page_of_long_lines_is_short(write: Write) -> None:
    allocation = write([line(number, "x" * 8000) for number in range(300)])
    assert len(reading.page(reading.lines_after(allocation), 500).lines) == 132

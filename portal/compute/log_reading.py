"""Reads archived logs from any place in them, in either direction; no request looks at more than SCAN_LINES lines."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import QuerySet

from portal.compute.lines import Line
from portal.compute.logs import read_chunk
from portal.compute.models import Allocation, LogChunk
from portal.lib import ansi

SCAN_LINES = 100_000
PAGE_BYTES = 1024**2
"""A page of very long lines has fewer of them."""
Test = Callable[[Line], bool]


def lines_after(allocation: Allocation, after: int = 0) -> Iterator[Line]:
    """Lines numbered above `after`, in order, one chunk in memory at a time."""
    while chunk := _chunks(allocation).filter(last_seq__gt=after).order_by("last_seq").first():
        yield from (line for line in read_chunk(chunk) if line.seq > after)
        after = chunk.last_seq


def lines_before(allocation: Allocation, before: int) -> Iterator[Line]:
    """Lines numbered below `before`, the newest first."""
    while chunk := _chunks(allocation).filter(first_seq__lt=before).order_by("-first_seq").first():
        yield from (line for line in reversed(read_chunk(chunk)) if line.seq < before)
        before = chunk.first_seq


def last_texts(allocation: Allocation, count: int) -> list[str]:
    """The end of the log in plain text."""
    found = page(lines_before(allocation, last_seq(allocation) + 1), count, bars=False)
    return [ansi.plain(line.text) for line in found.lines]


def last_seq(allocation: Allocation) -> int:
    found = _chunks(allocation).order_by("-last_seq").values_list("last_seq", flat=True).first()
    return found or 0


def first_since(allocation: Allocation, moment: datetime) -> int | None:
    """The number of the first line of that time or later; None when there is none yet."""
    chunk = _chunks(allocation).filter(last_at__gte=moment).order_by("last_at").first()
    if chunk is None:
        return None
    return next((line.seq for line in read_chunk(chunk) if time_of(line) >= moment), chunk.first_seq)


def _chunks(allocation: Allocation) -> QuerySet[LogChunk]:
    return LogChunk.objects.filter(allocation=allocation)


def time_of(line: Line) -> datetime:
    return datetime.fromisoformat(line.at)


def contains(text: str, *, case: bool = False) -> Test:
    """Whether a line has this text, as it is read: without its colours."""
    if case:
        return lambda line: text in ansi.plain(line.text)
    lowered = text.lower()
    return lambda line: lowered in ansi.plain(line.text).lower()


def find(lines: Iterable[Line], wanted: Test) -> tuple[Line | None, int]:
    """The first that is wanted among the next SCAN_LINES, and the number of the last one looked at (0: none)."""
    looked_at = 0
    for line in islice(lines, SCAN_LINES):
        looked_at = line.seq
        if wanted(line):
            return line, looked_at
    return None, looked_at


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in order, and the numbers between which all were looked at: where the next page begins."""

    lines: list[Line]
    first: int
    last: int


def page(lines: Iterable[Line], count: int, wanted: Test | None = None, *, bars: bool = True, keep: int = 0) -> Page:
    """At most `count` of the next SCAN_LINES; `lines` come in either order.

    Without `bars`, what another line of its stream was written over is left out, as on a terminal; not line `keep`.
    """
    kept: dict[int, Line] = {}
    neighbours: dict[str, Line] = {}
    first = last = size = 0
    for line in islice(lines, SCAN_LINES):
        first, last = min(first or line.seq, line.seq), max(last, line.seq)
        if wanted is not None and not wanted(line):
            continue
        kept[line.seq] = line
        size += len(line.text)
        older, newer = sorted((line, neighbours.get(line.stream, line)))
        neighbours[line.stream] = line
        if not bars and older is not newer and older.returned and older.seq != keep:
            size -= len(kept.pop(older.seq).text)
        if len(kept) >= count or size >= PAGE_BYTES:
            break
    return Page(sorted(kept.values()), first, last)

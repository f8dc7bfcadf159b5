"""The live tail of an allocation's log, continued from the archive; at most ten frames a second."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import tzinfo
from itertools import takewhile
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from portal.accounts.models import User
from portal.compute import log_reading
from portal.compute.lines import Line
from portal.compute.log_html import row
from portal.compute.models import Allocation
from portal.compute.states import LogState
from portal.lib.errors import Problem
from portal.live import redis, stream

MOST_BEHIND = 2000
"""A reader further behind than this is told how many lines were skipped."""
FRAME_SECONDS = 0.1
Tail = tuple[Allocation | None, list[Line], float]
"""What to stream, what to begin with, and for how many seconds."""


def backlog(allocation: Allocation | None, after: int) -> list[Line]:
    """What the archive has for a reader who knows the lines up to `after`."""
    if allocation is None:
        return []
    newest_first = log_reading.lines_before(allocation, log_reading.last_seq(allocation) + 1)
    unknown = takewhile(lambda line: line.seq > after, newest_first)
    return log_reading.page(unknown, MOST_BEHIND).lines


async def answer(request: HttpRequest, prepare: Callable[[User, int], Tail]) -> HttpResponseBase:
    """Frames of rows after `Last-Event-ID` (or `?after=`); all questions to the database come before them."""
    user = await request.auser()
    if not isinstance(user, User):
        return HttpResponse("Sign in first.", status=401)
    after = _number(request.headers.get("Last-Event-ID")) or _number(request.GET.get("after"))
    try:
        allocation, lines, lifetime = await sync_to_async(prepare)(user, after)
    except Problem as problem:
        return HttpResponse(problem.detail, status=problem.status)
    if allocation is None:
        return stream.respond(_nothing)
    zone = timezone.get_current_timezone()  # which ends with this function
    return stream.respond(lambda: _frames(allocation, after, lines, zone), lifetime)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() and len(text) < 18 else 0


async def _nothing() -> AsyncIterator[bytes | None]:
    yield stream.event("end", "complete")


async def _frames(allocation: Allocation, after: int, lines: list[Line], zone: tzinfo) -> AsyncIterator[bytes | None]:
    if lines:
        yield _frame(lines, after, zone)
        after = lines[-1].seq
    if allocation.log_state != LogState.OPEN:
        yield stream.event("end", "complete")
        return
    async for frame in redis.frames(allocation.pk, "0"):
        if frame is None:
            yield None
        elif frame["last"] > after:
            yield _frame([Line(*fields) for fields in frame["lines"] if fields[0] > after], after, zone)
            after = frame["last"]
            await asyncio.sleep(FRAME_SECONDS)


def _frame(lines: Sequence[Line], after: int, zone: tzinfo) -> bytes:
    """`skipped` lines went by between what the reader has and these: Redis keeps the last frames only."""
    last = lines[-1].seq
    frame: dict[str, Any] = {"last": last, "skipped": lines[0].seq - after - 1}
    with timezone.override(zone):
        frame["rows"] = "".join(row(line) for line in log_reading.page(lines, len(lines), bars=False).lines)
    return stream.event("message", json.dumps(frame), event_id=last)

"""`/live/logs/<workspace>/`: the live tail of a workspace's log, continued from the archive."""

import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from environments import access
from environments.access import Right
from portal.accounts.models import User
from portal.compute import logs
from portal.compute.models import Allocation
from portal.lib.errors import Problem
from portal.live import redis, stream

MOST_BEHIND = 2000
"""A reader further behind than this is told how many lines were skipped."""


@require_safe
async def tail(request: HttpRequest, workspace_id: str) -> HttpResponseBase:
    """Frames of numbered lines after `Last-Event-ID` (or `?after=`), first from the archive, then live."""
    user = await request.auser()
    if not isinstance(user, User):
        return HttpResponse("Sign in first.", status=401)
    after = _number(request.headers.get("Last-Event-ID")) or _number(request.GET.get("after"))
    try:
        allocation, backlog = await sync_to_async(_prepare)(user, workspace_id, after)
    except Problem as problem:
        return HttpResponse(problem.detail, status=problem.status)
    if allocation is None:
        return stream.respond(_nothing)
    return stream.respond(lambda: _frames(allocation, after, backlog))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() and len(text) < 18 else 0


def _prepare(user: User, workspace_id: str, after: int) -> tuple[Allocation | None, list[logs.Line]]:
    allocation = access.workspace_for(user, workspace_id, Right.VIEW).allocation
    if allocation is None:
        return None, []
    recent = logs.last_lines(allocation, MOST_BEHIND)
    return allocation, [line for line in recent if line.seq > after]


async def _nothing() -> AsyncIterator[bytes | None]:
    yield stream.event("end", "complete")


async def _frames(allocation: Allocation, after: int, backlog: list[logs.Line]) -> AsyncIterator[bytes | None]:
    last = after
    if backlog:
        skipped = max(backlog[0].seq - after - 1, 0)
        last = backlog[-1].seq
        yield _frame({"first": backlog[0].seq, "last": last, "lines": backlog, "skipped": skipped})
    if not allocation.open:
        yield stream.event("end", "complete")
        return
    async for frame in redis.frames(allocation.pk, "0"):
        if frame is None:
            yield None
        elif frame["last"] > last:
            lines = [line for line in frame["lines"] if line[0] > last]
            last = frame["last"]
            yield _frame(frame | {"first": lines[0][0], "lines": lines})


def _frame(frame: dict[str, Any]) -> bytes:
    return stream.event("message", json.dumps(frame), event_id=frame["last"])

"""Server-sent events: framing, heartbeat and the end after ten minutes. No database inside a stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from django.http import StreamingHttpResponse

from portal.live.redis import Unavailable

HEARTBEAT_SECONDS = 15
LIFETIME_SECONDS = 600


def event(name: str, data: str = "1", event_id: int | None = None) -> bytes:
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


async def paced(source: AsyncIterator[bytes | None], lifetime: float = LIFETIME_SECONDS) -> AsyncIterator[bytes]:
    """`source` with a heartbeat, until `lifetime` seconds are over; the browser then comes back by itself."""
    yield b"retry: 1000\n: open\n\n"
    ends = time.monotonic() + lifetime
    beat = time.monotonic()
    try:
        async for frame in source:
            if frame is not None:
                yield frame
            elif time.monotonic() - beat >= HEARTBEAT_SECONDS:
                beat = time.monotonic()
                yield b": beat\n\n"
            if time.monotonic() >= ends:
                return
    except (Unavailable, OSError):
        await asyncio.sleep(1)  # Redis is away: end quietly, the browser reconnects


def respond(
    source: Callable[[], AsyncIterator[bytes | None]], lifetime: float = LIFETIME_SECONDS
) -> StreamingHttpResponse:
    response = StreamingHttpResponse(paced(source(), lifetime), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response

"""Wakes a loop of the agent as soon as any allocation moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from portal.live import redis

LOOK_SECONDS = 1.0


class Moves:
    def __init__(self) -> None:
        self._moved = asyncio.Event()

    async def wait(self) -> None:
        """Until one has moved since this was last waited for; a second at most, so that nothing hangs on Redis."""
        try:
            await asyncio.wait_for(self._moved.wait(), LOOK_SECONDS)
        except TimeoutError:
            pass
        self._moved.clear()

    async def listen(self) -> None:
        while True:
            try:
                async for name in redis.names():
                    if name == "allocations":
                        self._moved.set()
            except (OSError, redis.Unavailable):
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def moves() -> AsyncIterator[Moves]:
    found = Moves()
    listener = asyncio.create_task(found.listen())
    try:
        yield found
    finally:
        listener.cancel()

"""The fallback ticker: does the tick itself while no worker does, and keeps the agent's own heartbeat."""

import asyncio
import logging

from portal.compute import ticking
from portal.compute.agent import threads
from portal.compute.reconcile import reconcile

logger = logging.getLogger(__name__)


async def tick() -> None:
    alone = False
    while True:
        await threads.call(ticking.beat, "agent")
        before, alone = alone, await threads.call(ticking.silent, "worker")
        if alone != before:
            logger.warning("the agent ticks: no worker does" if alone else "a worker ticks again")
        if alone:
            await threads.call(ticking.tick, "agent", reconcile)
        await asyncio.sleep(ticking.EVERY_SECONDS)

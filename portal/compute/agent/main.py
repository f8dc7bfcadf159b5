"""Runs the agent's loops side by side; a loop that fails is logged and begins again."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

from portal.compute.agent import collecting, executing, guarding, observing, probing, sampling, ticker, watching

logger = logging.getLogger(__name__)

LOOPS: tuple[Callable[[], Awaitable[None]], ...] = (
    watching.node,
    watching.events,
    watching.sweep,
    guarding.guard,
    probing.probe,
    collecting.collect,
    sampling.sample,
    observing.observe,
    ticker.tick,
    executing.execute,
)


async def _for_ever(loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await loop()
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s failed and begins again", loop.__qualname__)
        await asyncio.sleep(1)


async def main() -> None:
    """Until SIGTERM or SIGINT."""
    tasks = [asyncio.create_task(_for_ever(loop)) for loop in LOOPS]
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

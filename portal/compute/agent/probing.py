"""Asks starting applications again and again whether they are ready, and looks at once when one is."""

import asyncio

from portal.compute import probe as probing
from portal.compute import reconcile as reconciling
from portal.compute.agent import threads
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.live import redis

PROBE_SECONDS = 0.025
"""A probe costs a millisecond, and JupyterLab boots in half a second: asking every 100 ms would be felt."""
LOOK_SECONDS = 1.0


async def probe() -> None:
    """One probe at a time per application, all of them side by side."""
    changed = asyncio.Event()
    listener = asyncio.create_task(_listen(changed))
    running: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            changed.clear()
            for allocation in await threads.call(_starting):
                key = f"{allocation.pk}-{allocation.generation}-{allocation.address}"
                if key not in running:
                    running[key] = asyncio.create_task(_until_ready(allocation))
            running = {key: task for key, task in running.items() if not task.done()}
            try:
                await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
            except TimeoutError:
                pass
    finally:
        listener.cancel()
        for task in running.values():
            task.cancel()


async def _listen(changed: asyncio.Event) -> None:
    """Wake the loop as soon as any allocation moves; without Redis it wakes once a second."""
    while True:
        try:
            async for name in redis.names():
                if name == "allocations":
                    changed.set()
        except (OSError, redis.Unavailable):
            await asyncio.sleep(LOOK_SECONDS)


def _starting() -> list[Allocation]:
    return list(Allocation.objects.filter(phase=Phase.STARTING).exclude(address=""))


def _still_starting(allocation: Allocation) -> bool:
    return Allocation.objects.filter(
        pk=allocation.pk, phase=Phase.STARTING, generation=allocation.generation, address=allocation.address
    ).exists()


async def _until_ready(allocation: Allocation) -> None:
    for attempt in range(40_000):
        if await threads.call(probing.answers, allocation):
            await threads.call(reconciling.reconcile, allocation.pk)
            return
        if attempt % 40 == 39 and not await threads.call(_still_starting, allocation):
            return
        await asyncio.sleep(PROBE_SECONDS)

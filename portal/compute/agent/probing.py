"""Asks starting applications again and again whether they are ready, and looks at once when one is."""

import asyncio

from portal.compute import probe as probing
from portal.compute import reconcile as reconciling
from portal.compute.agent import threads
from portal.compute.agent.moves import moves
from portal.compute.models import Allocation
from portal.compute.states import Phase

PROBE_SECONDS = 0.025
"""A probe costs a millisecond, and JupyterLab boots in half a second: asking every 100 ms would be felt."""


async def probe() -> None:
    """One probe at a time per application, all of them side by side."""
    running: dict[str, asyncio.Task[None]] = {}
    try:
        async with moves() as moved:
            while True:
                for allocation in await threads.call(_starting):
                    key = f"{allocation.pk}-{allocation.generation}-{allocation.address}"
                    if key not in running:
                        running[key] = asyncio.create_task(_until_ready(allocation))
                running = {key: task for key, task in running.items() if not task.done()}
                await moved.wait()
    finally:
        for task in running.values():
            task.cancel()


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

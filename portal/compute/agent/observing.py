"""Asks what runs in each running application, a few at a time, and tells the owner."""

import asyncio
import logging

from django.conf import settings

from portal.compute import activity, owners
from portal.compute.agent import threads
from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase

logger = logging.getLogger(__name__)

AT_ONCE = 6
"""Of the agent's threads, so that applications that hang delay neither probes nor samples."""


async def observe() -> None:
    places = asyncio.Semaphore(AT_ONCE)
    while True:
        rows = await threads.call(_running)
        await asyncio.gather(*(_in_turn(places, row) for row in rows))
        await asyncio.sleep(settings.ACTIVITY_SECONDS)


async def _in_turn(places: asyncio.Semaphore, allocation: Allocation) -> None:
    async with places:
        await threads.call(look, allocation)


def _running() -> list[Allocation]:
    rows = Allocation.objects.filter(phase=Phase.RUNNING, unknown_since=None, spec__has_key="activity")
    return list(rows.exclude(desired=Desired.END))


def look(allocation: Allocation) -> None:
    """One that cannot be asked because of a bug must not keep the others from being asked."""
    try:
        activity.note(allocation)
        owners.owner_of(allocation).observed(allocation)
    except Exception:
        logger.exception("what runs in allocation %s could not be asked: a bug on our side", allocation.pk)

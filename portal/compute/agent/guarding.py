"""Keeps workspaces away from the host and private networks, and proves it once with a container."""

import asyncio
import logging

from portal.compute.agent import threads
from portal.compute.engine import runtime
from portal.compute.models import Allocation, Node
from portal.compute.states import Phase

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"""How often the rules are put back, should somebody have flushed them."""


async def guard() -> None:
    proved = False
    while True:
        image = None if proved else await threads.call(_an_image)
        warnings = await threads.call(runtime().guard, image)
        proved = proved or image is not None
        if image is not None or warnings:
            await threads.call(_note, " ".join(warnings))
        await asyncio.sleep(EVERY_SECONDS)


def _an_image() -> str | None:
    """One that runs now, and so is on the engine: the proof needs it, and bash in it, which one of ours has."""
    ours = Allocation.objects.exclude(spec__has_key="folders")
    running = ours.filter(phase=Phase.RUNNING).order_by("-created_at")
    spec = running.values_list("spec", flat=True).first()
    return spec["image"] if spec else None


def _note(warning: str) -> None:
    changed = Node.objects.filter(runtime=runtime().kind).exclude(warning=warning[:300]).update(warning=warning[:300])
    if changed and warning:
        logger.warning("isolation: %s", warning)

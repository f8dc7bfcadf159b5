"""Follows the log of every container and writes it into chunks; the end of a stream is not the end of a log."""

import logging
import threading
import time

from django.db import close_old_connections
from django.db.models import Q

from portal.compute.actions import ring_reconcile
from portal.compute.agent import threads
from portal.compute.engine import runtime
from portal.compute.logs import ChunkWriter, Superseded
from portal.compute.models import Allocation
from portal.compute.specs import container_name, secret_of
from portal.compute.states import Phase
from runtimes.base import ContainerState, EngineUnreachable

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_following: dict[str, threading.Thread] = {}


async def collect() -> None:
    """Keep one follower thread per container that has or may have a log."""
    import asyncio

    while True:
        for allocation in await threads.call(_with_log):
            name = container_name(allocation)
            thread = _following.get(name)
            if thread is None or not thread.is_alive():
                _following[name] = threading.Thread(target=_follow, args=(allocation,), name=f"log-{name}", daemon=True)
                _following[name].start()
        for name in [name for name, thread in _following.items() if not thread.is_alive()]:
            del _following[name]
        await asyncio.sleep(LOOK_SECONDS)


def _with_log() -> list[Allocation]:
    begun = Q(phase__in=[Phase.STARTING, Phase.RUNNING, Phase.STOPPING])
    return list(Allocation.objects.filter(begun | Q(phase=Phase.ENDED, log_state="open", started_at__isnull=False)))


def _follow(allocation: Allocation) -> None:
    """Copy lines until the container has ended and its log is drained; then let it be removed."""
    name = container_name(allocation)
    try:
        while True:
            writer = ChunkWriter(allocation, (secret_of(allocation),))
            _copy(name, writer)
            state = runtime().inspect(name).state
            if state != ContainerState.RUNNING:
                break
            time.sleep(0.2)
        if Allocation.objects.filter(pk=allocation.pk, phase=Phase.ENDED, log_state="open").update(
            log_state="complete"
        ):
            ring_reconcile(allocation.pk)
    except (EngineUnreachable, Superseded) as error:
        logger.info("log of %s: %s; opening it again", name, error or "taken over")
    except Exception:
        logger.exception("log of %s could not be collected", name)
    finally:
        close_old_connections()


def _copy(name: str, writer: ChunkWriter) -> None:
    """A pump thread fills a queue, so that a quiet log is flushed in time as well."""
    import queue

    lines: queue.Queue[object] = queue.Queue(maxsize=2000)

    def pump() -> None:
        try:
            for line in runtime().logs(name, writer.since, follow=True):
                lines.put(line)
        except Exception as error:
            lines.put(error)
        lines.put(None)

    threading.Thread(target=pump, daemon=True, name=f"pump-{name}").start()
    while True:
        try:
            item = lines.get(timeout=0.5)
        except queue.Empty:
            writer.flush_if_due()
            continue
        if item is None:
            writer.flush()
            return
        if isinstance(item, Exception):
            writer.flush()
            raise item
        writer.add(item)  # type: ignore[arg-type]
        writer.flush_if_due()

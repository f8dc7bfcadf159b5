"""Follows the log of every container and writes it into chunks; the end of a stream is not the end of a log."""

import logging
import threading
import time
from datetime import datetime

from django.db import close_old_connections
from django.db.models import Q

from portal.compute.actions import ring_reconcile
from portal.compute.agent import threads
from portal.compute.agent.handing_over import Belt
from portal.compute.agent.moves import moves
from portal.compute.engine import runtime
from portal.compute.logs import ChunkWriter, OverQuota, Superseded
from portal.compute.masking import needles
from portal.compute.models import Allocation
from portal.compute.owners import owner_of
from portal.compute.specs import container_name, secret_of
from portal.compute.states import LogState, Phase
from portal.live.redis import publish
from runtimes.base import ContainerState, EngineUnreachable

logger = logging.getLogger(__name__)

TAKE_SECONDS = 0.5
_following: dict[str, threading.Thread] = {}


async def collect() -> None:
    """Keep one follower thread per container that has or may have a log, from its start on: it may write a lot."""
    async with moves() as moved:
        while True:
            for allocation in await threads.call(_with_log):
                name = container_name(allocation)
                thread = _following.get(name)
                if thread is None or not thread.is_alive():
                    _following[name] = _follower(allocation, name)
            for name in [name for name, thread in _following.items() if not thread.is_alive()]:
                del _following[name]
            await moved.wait()


def _follower(allocation: Allocation, name: str) -> threading.Thread:
    thread = threading.Thread(target=_follow, args=(allocation,), name=f"log-{name}", daemon=True)
    thread.start()
    return thread


def _with_log() -> list[Allocation]:
    begun = Q(phase__in=[Phase.STARTING, Phase.RUNNING, Phase.STOPPING])
    ended = Q(phase=Phase.ENDED, started_at__isnull=False)
    return list(Allocation.objects.filter(begun | ended, log_state=LogState.OPEN))


def _follow(allocation: Allocation) -> None:
    """Copy lines until the container has ended and its log is drained; then let it be removed."""
    name = container_name(allocation)
    hidden: set[str] = {secret_of(allocation)}
    try:
        while True:
            hidden.update(owner_of(allocation).hidden(allocation))  # what was replaced meanwhile is in there still
            writer = ChunkWriter(allocation, needles(hidden))
            _copy(name, writer)
            state = runtime().inspect(name).state
            if state != ContainerState.RUNNING:
                break
            time.sleep(0.2)
        _close(allocation, LogState.COMPLETE, phase=Phase.ENDED)
    except OverQuota:
        _close(allocation, LogState.OVER_QUOTA)  # nobody reads it any more; the engine drops its oldest lines itself
    except (EngineUnreachable, Superseded) as error:
        logger.info("log of %s: %s; opening it again", name, error or "taken over")
    except Exception:
        logger.exception("log of %s could not be collected", name)
    finally:
        close_old_connections()


def _close(allocation: Allocation, state: LogState, **now: Phase) -> None:
    open_log = Allocation.objects.filter(pk=allocation.pk, log_state=LogState.OPEN, **now)
    if open_log.update(log_state=state):
        publish(allocation.topic)  # the page of a failure shows the last lines
        ring_reconcile(allocation.pk)


def _copy(name: str, writer: ChunkWriter) -> None:
    """Another thread reads, so that a quiet log is flushed in time as well."""
    belt = Belt()
    threading.Thread(target=_pump, args=(name, writer.since, belt), daemon=True, name=f"pump-{name}").start()
    try:
        while (lines := belt.take(TAKE_SECONDS)) is not None:
            for line in lines:
                writer.add(line)
            writer.flush_if_due()
        writer.flush()
    finally:
        belt.end()


def _pump(name: str, since: datetime | None, belt: Belt) -> None:
    """All lines and how they ended, until nobody takes any more."""
    try:
        for line in runtime().logs(name, since, follow=True):
            if not belt.put(line):
                return
    except Exception as error:
        belt.end(error)
    else:
        belt.end()

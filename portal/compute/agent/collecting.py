"""Follows the log of every container and writes it into chunks; the end of a stream is not the end of a log."""

import asyncio
import logging
import queue
import threading
import time
from datetime import datetime

from django.db import close_old_connections
from django.db.models import Q

from portal.compute.actions import ring_reconcile
from portal.compute.agent import threads
from portal.compute.engine import runtime
from portal.compute.logs import ChunkWriter, Superseded
from portal.compute.models import Allocation
from portal.compute.specs import container_name, secret_of
from portal.compute.states import Phase
from runtimes.base import ContainerState, EngineUnreachable, LogLine

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_following: dict[str, threading.Thread] = {}


async def collect() -> None:
    """Keep one follower thread per container that has or may have a log."""
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


Pumped = LogLine | Exception | None
"""A line, what went wrong, or the end."""


def _copy(name: str, writer: ChunkWriter) -> None:
    """A pump thread fills a queue, so that a quiet log is flushed in time as well."""
    lines: queue.Queue[Pumped] = queue.Queue(maxsize=2000)
    done = threading.Event()
    pump = (name, writer.since, lines, done)
    threading.Thread(target=_pump, args=pump, daemon=True, name=f"pump-{name}").start()
    try:
        while (item := _next(lines, writer)) is not None:
            if isinstance(item, Exception):
                raise item
            writer.add(item)
            writer.flush_if_due()
        writer.flush()
    finally:
        done.set()


def _next(lines: "queue.Queue[Pumped]", writer: ChunkWriter) -> Pumped:
    while True:
        try:
            return lines.get(timeout=0.5)
        except queue.Empty:
            writer.flush_if_due()


def _pump(name: str, since: datetime | None, lines: "queue.Queue[Pumped]", done: threading.Event) -> None:
    """All lines and how they ended, until nobody reads any more."""
    try:
        for line in runtime().logs(name, since, follow=True):
            if not _offer(lines, line, done):
                return
    except Exception as error:
        _offer(lines, error, done)
    else:
        _offer(lines, None, done)


def _offer(lines: "queue.Queue[Pumped]", item: Pumped, done: threading.Event) -> bool:
    while not done.is_set():
        try:
            lines.put(item, timeout=1)
        except queue.Full:
            continue
        return True
    return False

"""Watches the engine: its capacity and whether it answers, its events, and the full list."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import F, Q

from portal.compute import devices
from portal.compute.actions import ring_admission, ring_reconcile
from portal.compute.agent import threads
from portal.compute.engine import runtime
from portal.compute.models import Allocation, Node
from portal.compute.specs import container_name
from portal.compute.states import Desired, Phase
from portal.lib import clock
from portal.live.redis import publish
from runtimes.base import ContainerState, EngineInfo, EngineUnreachable, Gpu, Observation

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
SWEEP_SECONDS = 15.0
QUARANTINE = timedelta(minutes=10)
MEMORY_SHARE = Decimal("0.9")
"""What of a node's memory may be reserved; the rest is for the system and Berth itself."""

CANARY = "canary"
"""Owner label of the container that proves the isolation; it belongs to no allocation."""

_strangers: dict[str, datetime] = {}


async def node() -> None:
    """Keep the node's row true: capacity, and since when it does not answer."""
    while True:
        try:
            info = await threads.call(runtime().check)
        except EngineUnreachable as error:
            await threads.call(note_outage, str(error))
        else:
            await threads.call(note_node, info, await threads.call(runtime().gpus))
        await asyncio.sleep(CHECK_SECONDS)


def node_name(info: EngineInfo | None = None) -> str:
    return settings.AGENT_NODE or (info.name if info else "")


def note_node(info: EngineInfo, gpus: Sequence[Gpu] = ()) -> None:
    now = clock.now()
    name = node_name(info)
    before = Node.objects.filter(name=name).first()
    values = {
        "runtime": runtime().kind,
        "isolated": runtime().isolated,
        "freezes": runtime().freezes,
        "version": info.version,
        "cpu": Decimal(str(info.cpu)),
        "memory": info.memory,
        "schedulable_cpu": Decimal(str(info.cpu)) * Decimal(str(settings.CPU_OVERCOMMIT)),
        "schedulable_memory": int(info.memory * MEMORY_SHARE),
        "seen_at": now,
        "unreachable_since": None,
    }
    if before and before.unreachable_since:
        values["outage_until"] = now
        logger.info("the engine answers again")
    row, _ = Node.objects.update_or_create(name=name, defaults=values)
    changed = devices.note(row, [*gpus, *devices.declared(settings.SIMULATED_GPUS)])
    if before is None or before.unreachable_since:
        Allocation.objects.filter(node=row).exclude(phase=Phase.ENDED).update(next_look_at=now)
        changed = True
    if changed:
        publish("nodes")
        ring_admission()


def note_outage(error: str) -> None:
    """The engine does not answer: from now on nobody waits for it, and nothing is called stopped."""
    now = clock.now()
    known = Node.objects.filter(unreachable_since=None, runtime=runtime().kind)
    for row in known.filter(Q(name=settings.AGENT_NODE) if settings.AGENT_NODE else Q()):
        logger.warning("the engine does not answer: %s", error)
        Node.objects.filter(pk=row.pk).update(unreachable_since=now, outage_from=row.seen_at, outage_until=None)
        Allocation.objects.filter(node=row).exclude(phase=Phase.ENDED).update(next_look_at=now)


async def events() -> None:
    """Ring for every container something happens to. Hints only: the sweep finds what they miss."""
    try:
        await threads.call(_follow_events)
    finally:
        await threads.call(note_break)


def note_break() -> None:
    """The engine hung up. One that is back at once was away all the same, and may have ended containers."""
    try:
        runtime().check()
    except EngineUnreachable as error:
        note_outage(str(error))
    else:
        row = Node.objects.filter(runtime=runtime().kind, unreachable_since=None)
        (row.filter(name=settings.AGENT_NODE) if settings.AGENT_NODE else row).update(
            outage_from=F("seen_at"), outage_until=clock.now()
        )


def _follow_events() -> None:
    for name in runtime().events():
        ring_reconcile(allocation_of(name))
    logger.info("the engine's event stream ended; opening it again")


def allocation_of(name: str) -> str:
    """`berth-<instance>-<allocation>-g<generation>` → allocation."""
    return name.rsplit("-g", 1)[0].rsplit("-", 1)[-1]


async def sweep() -> None:
    while True:
        try:
            await threads.call(compare)
        except EngineUnreachable as error:
            await threads.call(note_outage, str(error))
        await asyncio.sleep(SWEEP_SECONDS)


def compare() -> None:
    """Every container of this instance against every open allocation; ring where they differ."""
    listed = runtime().list(settings.INSTANCE)
    containers = {seen.name: seen for seen in listed if seen.labels.get("berth.owner") != CANARY}
    open_rows = list(Allocation.objects.exclude(phase=Phase.ENDED))
    expected = {container_name(row): row for row in open_rows}
    confirmed = [row.pk for name, row in expected.items() if _as_expected(row, containers.get(name))]
    Allocation.objects.filter(pk__in=confirmed, phase=Phase.RUNNING).update(confirmed_at=clock.now())
    for row in open_rows:
        if row.phase != Phase.PENDING and row.pk not in confirmed:
            ring_reconcile(row.pk)
    for name in containers.keys() - expected.keys():
        _unexpected(containers[name])
    for name in _strangers.keys() - containers.keys():
        del _strangers[name]


def _as_expected(row: Allocation, seen: Observation | None) -> bool:
    return (
        row.phase == Phase.RUNNING
        and seen is not None
        and seen.state == ContainerState.RUNNING
        and seen.started_at == row.container_started_at
        and row.unknown_since is None
        and seen.frozen == (row.desired == Desired.SUSPEND)
    )


def _unexpected(seen: Observation) -> None:
    """A container no open row explains: an ended one is removed by its row, a stranger after a grace."""
    row = Allocation.objects.filter(pk=allocation_of(seen.name)).first()
    if row is not None and container_name(row) == seen.name:
        Allocation.objects.filter(pk=row.pk).update(next_look_at=clock.now())
        ring_reconcile(row.pk)
        return
    if row is not None:
        logger.info("removing %s: a generation that was replaced", seen.name)
        runtime().remove(seen.name)
        return
    since = _strangers.setdefault(seen.name, clock.now())
    if clock.now() - since >= QUARANTINE and seen.state == ContainerState.RUNNING:
        logger.warning("stopping %s: no allocation explains it since %s", seen.name, since)
        runtime().stop(seen.name)

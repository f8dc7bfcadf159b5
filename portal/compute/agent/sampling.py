"""Samples CPU, memory and GPUs of running containers, and forgets samples after a week."""

import asyncio
from datetime import timedelta

from django.db.models import Sum

from portal.compute import owners
from portal.compute.agent import threads
from portal.compute.engine import runtime
from portal.compute.models import Allocation, GpuHold, Sample
from portal.compute.specs import container_name
from portal.compute.states import Phase
from portal.lib import clock
from runtimes.base import EngineUnreachable, RuntimeFailure, Usage

EVERY_SECONDS = 5.0
KEEP = timedelta(days=7)

_last: dict[str, Usage] = {}


async def sample() -> None:
    rounds = 0
    while True:
        rows = await threads.call(_running)
        await asyncio.gather(*(threads.call(_sample, row) for row in rows))
        rounds += 1
        if rounds % 700 == 1:
            await threads.call(_forget)
        await asyncio.sleep(EVERY_SECONDS)


def _running() -> list[Allocation]:
    rows = list(Allocation.objects.filter(phase=Phase.RUNNING, unknown_since=None))
    for name in _last.keys() - {container_name(row) for row in rows}:
        del _last[name]
    return rows


def _sample(allocation: Allocation) -> None:
    name = container_name(allocation)
    try:
        usage = runtime().stats(name)
    except (EngineUnreachable, RuntimeFailure):
        return
    before = _last.get(name)
    if usage is None:
        return
    _last[name] = usage
    if before is None or usage.at <= before.at:
        return
    seconds = (usage.at - before.at).total_seconds()
    cpu = max(usage.cpu_seconds - before.cpu_seconds, 0.0) / seconds
    gpu = _devices_at_work(allocation)
    Sample.objects.create(allocation=allocation, at=usage.at, cpu=cpu, memory=usage.memory, gpu=gpu)
    used = {"cpu": cpu * seconds} | ({} if gpu is None else {"gpu": gpu * seconds})
    owners.tell_use(allocation, seconds, used)


def _devices_at_work(allocation: Allocation) -> float | None:
    """The utilisation of the devices it holds, added up; None where nobody measures it."""
    if not allocation.gpu_count:
        return None
    held = GpuHold.objects.filter(allocation=allocation, until=None)
    used: float | None = held.aggregate(used=Sum("device__utilisation"))["used"]
    return used


def _forget() -> None:
    Sample.objects.filter(at__lt=clock.now() - KEEP).delete()

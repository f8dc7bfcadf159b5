"""Where in line something waits, and for what: worked out when it is read, since each admission changes both."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from portal.announcements.access import maintenance
from portal.compute import forecast, line
from portal.compute.limits import Limits, whose
from portal.compute.models import GIB, Allocation, Node
from portal.compute.placement import Need, Room, rooms
from portal.compute.states import Phase
from portal.lib import clock
from portal.lib.words import plain
from portal.quotas.models import gpu_words
from portal.quotas.states import GPU


@dataclass(frozen=True, slots=True)
class Place:
    """Counted from 1. `eta_seconds` is an estimate; None where there is none."""

    position: int
    eta_seconds: int | None = None


def explain(allocations: Iterable[Allocation]) -> dict[str, Place]:
    """The places of those that wait, by id; the message of each becomes, unsaved, what it waits for now."""
    waiting = [allocation for allocation in allocations if allocation.phase == Phase.PENDING]
    spots = line.spots({allocation.pk for allocation in waiting})
    gpus = any(allocation.gpu_class_id for allocation in waiting)
    if not spots:
        return {}
    free, limits, closed, starts = rooms(devices=gpus), Limits(), maintenance(), forecast.known()
    found = {}
    for allocation in waiting:
        if spot := spots.get(allocation.pk):
            why = closed or spot.held_back or _limited(allocation, limits)
            start = None if why else starts.get(allocation.pk)
            told = [why or _missing(Need.of(allocation), free), f"Number {spot.number} in line."]
            allocation.message = " ".join([*told, start.sentence()] if start else told)
            found[allocation.pk] = Place(spot.number, _seconds(start))
    return found


def _seconds(start: forecast.Start | None) -> int | None:
    return max(round((start.likely - clock.now()).total_seconds()), 0) if start else None


def _limited(waiting: Allocation, limits: Limits) -> str:
    """Whose limit it would exceed; nothing where there is room in both."""
    limit = limits.reached(*whose(waiting))
    if limit is None:
        return ""
    needs = f"Needs {gpu_words(waiting.gpu_class_id, waiting.gpu_count)}. " if limit.resource.startswith(GPU) else ""
    return needs + limit.sentence("Its owner", "Its team")


def _missing(need: Need, free: list[Room]) -> str:
    if not free:
        closed = Node.objects.filter(cordoned_at__isnull=False, unreachable_since=None).exists()
        return "All nodes are closed to new work." if closed else "The container engine does not answer."
    cpu, memory = max(room.cpu for room in free), max(room.memory for room in free)
    gpus = (
        f"{max(room.free(need.gpu_class) for room in free)} × {gpu_words(need.gpu_class)}, " if need.gpu_class else ""
    )
    return f"Needs {need}; {gpus}{plain(max(cpu, Decimal(0)))} cores and {max(memory, 0) / GIB:.1f} GB are free."

"""Admission: who gets a place on which node, in the order of the line, decided in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import transaction

from portal.accounts.access import default_team, teams_of
from portal.accounts.models import Team, User
from portal.announcements.access import maintenance
from portal.compute import forecast, line
from portal.compute.limits import Limits, amounts, whose
from portal.compute.models import GIB, Allocation, GpuDevice, GpuHold, Size
from portal.compute.placement import Need, Room, best, empty_rooms, promise, rooms
from portal.compute.states import HEAD_START, Phase, Rank
from portal.compute.transitions import move
from portal.lib import clock, locks
from portal.lib.words import plain
from portal.quotas.models import gpu_words

HOLD_AFTER = timedelta(minutes=10)
"""So long others may pass something for which there is no room."""
BATCH = 200
"""Rows looked at in one round: bounded work, whatever the length of the queue."""
_LOCK = 7_201_002


@dataclass(frozen=True, slots=True)
class Availability:
    """What the launch form says of a size: `state` is now, queue or never; `reason` a sentence."""

    state: str
    reason: str


def never_fits(need: Need, empty: Sequence[Room] | None = None) -> str:
    """What stands against it on every node, in words; empty when one could take it, or none is known yet."""
    empty = empty_rooms() if empty is None else empty
    if not empty or any(room.fits(need) for room in empty):
        return ""
    if need.gpu_class:
        most = max(room.free(need.gpu_class) for room in empty)
        if most < need.gpu_count:
            name = gpu_words(need.gpu_class)
            return f"the largest node has {most} × {name}" if most else f"no node has a GPU of class {name}"
    cpu, memory = max(room.node.cpu for room in empty), max(room.memory for room in empty)
    return f"the largest node has {plain(cpu)} cores and {memory / GIB:.0f} GB"


class Round:
    """The room and the limits in one round of admission: what is placed takes of both.

    `passed` are the columns of those that cannot be placed in this round, whoever of them comes first in line. What
    would have to borrow from other teams is `put_off` until `lend`: what has room within its own limits goes first.
    """

    def __init__(self) -> None:
        self.free, self.empty = rooms(), empty_rooms()
        self.passed: set[frozenset[tuple[str, Any]]] = set()
        self.put_off: set[frozenset[tuple[str, Any]]] | None = set()

    def lend(self) -> bool:
        """What needs to borrow is placed too from now on; False where nothing was put off."""
        before, self.put_off = self.put_off, None
        return bool(before)

    @property
    def left_out(self) -> set[frozenset[tuple[str, Any]]]:
        return self.passed | (self.put_off or set())

    @cached_property
    def closed(self) -> str:
        """Why nothing at all is placed now, and when it will be; empty when something may."""
        return maintenance()

    @cached_property
    def limits(self) -> Limits:
        return Limits()

    def seated(self, queue: Iterable[Allocation]) -> Iterator[tuple[Allocation, Room, list[GpuDevice]]]:
        """Who is placed where, with which devices."""
        for waiting in queue:
            if any(all(getattr(waiting, name) == value for name, value in alike) for alike in self.left_out):
                continue
            need, (user, team, wanted) = Need.of(waiting), whose(waiting)
            if limit := self.limits.reached(user, team, wanted):
                self._pass(**limit.alike(waiting))
                if limit.owes(wanted[limit.resource]):
                    self.limits.take(waiting)  # others borrow no more of what it waits for
            elif self.put_off is not None and (limit := self.limits.borrowed_of(user, team, wanted)):
                self.put_off.add(frozenset(limit.alike(waiting).items()))
            elif room := best(self.free, need):
                self.limits.take(waiting)
                yield waiting, room, room.take(need)
            else:
                self._pass(**need.columns)
                if clock.now() - waiting.created_at >= HOLD_AFTER:
                    promise(self.free, need, self.empty)

    def _pass(self, **alike: Any) -> None:
        self.passed.add(frozenset(alike.items()))


def availability(
    sizes: list[Size], user: User, team: str | None = None, rank: Rank = Rank.INTERACTIVE, project: str = ""
) -> dict[str, Availability]:
    """By size slug: whether what this person starts at this rank would start now, wait, or never start.

    `team` is the slug of the one that pays; by default, and where it is none of theirs, their first.
    """
    now, paying = Round(), _paying(user, team)
    kind = "workspace" if rank == Rank.INTERACTIVE else "job"
    alike = {"user": user, "team": paying, "project": project, "owner_kind": kind}
    newcomer = Allocation(**alike, line_at=clock.now() - HEAD_START[rank])
    before = line.before(newcomer, line.eligible(), BATCH) if paying else []
    ahead = line.in_order(line.eligible(), before)
    placed = {waiting.pk for waiting, _, _ in now.seated(ahead)}
    if now.lend():
        placed |= {waiting.pk for waiting, _, _ in now.seated(one for one in ahead if one.pk not in placed)}
    starts, asks = forecast.known(), _Newcomer(newcomer, line.held_back(newcomer) if paying else "", len(before))
    return {size.slug: _availability(Need.of(size), asks, now, starts.get((kind, size.slug))) for size in sizes}


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """What may come, why nothing like it is placed now, and how many stand before it."""

    allocation: Allocation
    held_back: str
    ahead: int


def _paying(user: User, slug: str | None) -> Team | None:
    return (teams_of(user).filter(slug=slug).first() if slug else None) or default_team(user)


def _availability(need: Need, asks: _Newcomer, now: Round, start: forecast.Start | None) -> Availability:
    if refusal := never_fits(need, now.empty):
        return Availability("never", f"Never: {refusal}")
    if now.closed:
        return Availability("queue", now.closed)
    if not now.empty:
        return Availability("queue", "No node has reported yet.")
    if asks.allocation.team_id and (limited := _limited(need, asks, now.limits)):
        return limited
    if best(now.free, need):
        return Availability("now", "Starts now.")
    told = f"Waits for room; {asks.ahead} in line before it." if asks.ahead else "Waits for room, first in line."
    return Availability("queue", f"{told} {start.sentence()}" if start else told)


def _limited(need: Need, asks: _Newcomer, limits: Limits) -> Availability | None:
    user, team, wanted = asks.allocation.user, asks.allocation.team, amounts(asks.allocation.owner_kind, need)
    if refusal := limits.refused(user.pk, team, wanted):
        return Availability("never", f"Never: {refusal}")
    if asks.held_back:
        return Availability("queue", asks.held_back)
    limit = limits.reached(user.pk, team.pk, wanted)
    return Availability("queue", limit.sentence("You", "Your team")) if limit else None


def alone() -> None:
    """Until the caller's transaction ends nothing is placed by others; what they placed before is seen."""
    locks.take(_LOCK)


@transaction.atomic
def admit() -> list[str]:
    """Place what fits, in the order of the line. Ids that were placed, at most BATCH.

    None during a maintenance. What does not fit is passed by what needs less, until it has waited HOLD_AFTER: then
    room is held for it.
    """
    alone()
    placed: list[str] = []
    if maintenance():
        return placed
    now: Round | None = None
    while len(placed) < BATCH:
        if batch := _next_in_line(now):
            now = now or Round()
            for waiting, room, devices in now.seated(batch):
                _place(waiting, room, devices)
                placed.append(waiting.pk)
        elif now is None or not now.lend():
            break
    return placed


def _next_in_line(now: Round | None) -> list[Allocation]:
    """Without those that were passed; locked."""
    waiting = line.eligible()
    for alike in now.left_out if now else ():
        waiting = waiting.exclude(**dict(alike))
    ids = line.first(waiting, BATCH)
    return line.in_order(waiting.select_for_update(of=("self",)), ids)


def _place(waiting: Allocation, room: Room, devices: list[GpuDevice]) -> None:
    GpuHold.objects.bulk_create(GpuHold(device=device, allocation=waiting) for device in devices)
    message = f"placed on {room.node.name}"
    moved = move(waiting, Phase.ADMITTED, actor="admission", fenced=False, node=room.node, message=message)
    assert moved, "it was locked while it waited"

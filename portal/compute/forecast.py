"""When what waits will probably begin: the line is served ahead of time, with ends as they usually come.

How long things of a kind and size hold their place is told by those that ended lately. What has held its own for longer
than that is taken to hold it for as long again. The worker works this out every few seconds; what it finds is kept in
Redis alone, and losing it costs the estimate until the next time. It is an estimate: limits, and room that is held for
somebody, are not looked at.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from statistics import quantiles

from django.core.cache import cache
from django.db.models import DurationField, ExpressionWrapper, F

from portal.compute import line
from portal.compute.models import Allocation, GpuDevice, Size
from portal.compute.placement import Need, Room, best, rooms
from portal.compute.states import PLACED
from portal.lib import clock, words
from portal.live.redis import Unavailable

EVERY = timedelta(seconds=15)
KEPT = timedelta(seconds=90)
LOOKED_AT = 200
"""So many in line get an estimate."""
RECENT = 2000
FEWEST = 5
"""So many must have ended before what they took says something of others."""

Kind = tuple[str, str]
"""What owns it, and its size."""


@dataclass(frozen=True, slots=True)
class Start:
    """When something will probably begin, and when it will if the others take long; None when that cannot be said."""

    likely: datetime
    late: datetime | None

    def sentence(self) -> str:
        now = clock.now()
        if self.likely - now < timedelta(minutes=1):
            return "Probably starts within a minute."
        late = self.late and words.moment(self.late, now)
        likely = words.moment(self.likely, now)
        return f"Probably starts {likely}{f', or {late} if others take long' if late and late != likely else ''}."


@dataclass(frozen=True, slots=True)
class Wish:
    """Something in line. What is not real is not given its room: it only asks when it would get it."""

    key: str | Kind
    need: Need
    kind: Kind
    real: bool = True


def tick() -> None:
    """Part of every tick; one of all tickers does it, and none without Redis."""
    with suppress(Unavailable):
        if cache.add("forecast-due", True, EVERY.total_seconds()):
            cache.set("forecast", work_out(), KEPT.total_seconds())


def known() -> dict[str | Kind, Start]:
    """By id of what waits, and for who would come now by what they come with and size slug."""
    found: dict[str | Kind, Start] = {}
    with suppress(Unavailable):
        found = cache.get("forecast") or {}
    return found


def work_out() -> dict[str | Kind, Start]:
    wishes, free, held = _wishes(), rooms(), _held()
    likely, at_worst = (_served(wishes, [room.copy() for room in free], held, lasting) for lasting in _lasting())
    return {key: Start(at, at_worst.get(key)) for key, at in likely.items()}


def _wishes() -> list[Wish]:
    """The line, and in it those who would come now, with each size: with a workspace, or with a job."""
    rows = line.eligible().defer("spec")
    first = line.in_order(rows, line.first(rows, LOOKED_AT))
    wishes = [Wish(row.pk, Need.of(row), (row.owner_kind, row.size_id)) for row in first]
    urgent = sum(row.created_at - row.line_at >= line.urgent_from() for row in first)
    sizes = list(Size.objects.filter(retired=False))
    return [*wishes[:urgent], *_newcomers("workspace", sizes), *wishes[urgent:], *_newcomers("job", sizes)]


def _newcomers(kind: str, sizes: Sequence[Size]) -> list[Wish]:
    return [Wish((kind, size.slug), Need.of(size), (kind, size.slug), real=False) for size in sizes]


def _lasting() -> tuple[dict[Kind, timedelta], dict[Kind, timedelta]]:
    """How long half of those that ended lately held their place at most, and nine of ten of them."""
    ended = Allocation.objects.filter(started_at__isnull=False, log_removed_at=None, ended_at__isnull=False)
    held = ExpressionWrapper(F("ended_at") - F("started_at"), DurationField())
    took: dict[Kind, list[float]] = defaultdict(list)
    for kind, size, time in ended.order_by("-ended_at").values_list("owner_kind", "size_id", held)[:RECENT]:
        took[kind, size].append(time.total_seconds())
    tenths = {kind: quantiles(times, n=10, method="inclusive") for kind, times in took.items() if len(times) >= FEWEST}
    usual, late = ({kind: timedelta(seconds=ten[n]) for kind, ten in tenths.items()} for n in (4, 8))
    return usual, late


End = tuple[datetime, int, Room, Need, list[GpuDevice]]
"""When something gives back what where; the number keeps those of one moment apart."""


def _served(
    wishes: Sequence[Wish], free: Sequence[Room], held: Sequence[Allocation], lasting: Mapping[Kind, timedelta]
) -> dict[str | Kind, datetime]:
    """When each gets its room, in the order of the line, where what needs less passes what does not fit."""
    now, number = clock.now(), count()
    ends: list[End] = [(at, next(number), *given) for at, *given in _ends(held, free, lasting, now)]  # type: ignore[misc]
    heapq.heapify(ends)
    found: dict[str | Kind, datetime] = {}
    while wishes:
        seated, wishes = _seated(wishes, free)
        for wish, room, devices in seated:
            found[wish.key] = now
            if wish.real and wish.kind in lasting:
                heapq.heappush(ends, (now + lasting[wish.kind], next(number), room, wish.need, devices))
        if not ends:
            break
        now, _, freed, need, devices = heapq.heappop(ends)
        freed.give(need, devices)
    return found


def _seated(
    wishes: Sequence[Wish], free: Sequence[Room]
) -> tuple[list[tuple[Wish, Room, list[GpuDevice]]], list[Wish]]:
    """Who gets a room now and which devices, and who does not."""
    seated, rest = [], []
    full: set[Need] = set()
    for wish in wishes:
        room = None if wish.need in full else best(free, wish.need)
        if room is None:
            full.add(wish.need)
            rest.append(wish)
        else:
            seated.append((wish, room, room.take(wish.need) if wish.real else []))
    return seated, rest


def _held() -> list[Allocation]:
    """What has a place now."""
    placed = Allocation.objects.filter(phase__in=PLACED)
    return list(placed.prefetch_related("holds__device").defer("spec"))


def _ends(
    held: Sequence[Allocation], free: Sequence[Room], lasting: Mapping[Kind, timedelta], now: datetime
) -> Iterator[tuple[datetime, Room, Need, list[GpuDevice]]]:
    """When each will end, and what it gives back where."""
    by_node = {room.node.pk: room for room in free}
    for row in held:
        room, lasts = by_node.get(row.node_id or ""), lasting.get((row.owner_kind, row.size_id))
        if room and lasts is not None:
            devices = [hold.device for hold in row.holds.all() if hold.until is None]
            yield now + _left(lasts, now - (row.started_at or row.phase_at)), room, Need.of(row), devices


def _left(lasts: timedelta, held: timedelta) -> timedelta:
    return lasts - held if held < lasts else held

"""What was used and spent, by time and by what it belongs to: sums over usage intervals, open ones counted up to now.

Amount = quantity × seconds × price per hour / 3600 of the part of an interval that lies in a bucket, exact; rounding
is for whoever shows it. Buckets are half-open and follow each other, so that no second counts twice. Where totals
answer the question, only the intervals that are in no total yet are read themselves.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models import Sum as Total

from portal.compute.models import Allocation
from portal.lib import clock
from portal.usage import metering, totals
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.meters import METERS, STORAGE
from portal.usage.models import UsageInterval, UsageTotal
from portal.usage.totals import PARTS, SUMMED, Kind

GROUPS = {
    "user": "user",
    "team": "team",
    "project": "project",
    "template": "template",
    "gpu_class": "gpu_class",
    "node": "node",
    "kind": "owner_kind",
    "owner": "owner_id",
    "currency": "currency",
}
"""What sums may be asked by, and the column of each: what the row said when it was opened."""

NONE = {
    "user": "everybody",
    "team": "without a team",
    "project": "without a project",
    "template": "without an environment",
    "gpu_class": "without a GPU",
    "node": "on no node",
}
"""What people call the value of a group that an interval does not have."""

ALLOCATED = {"user": "user__username", "team": "team__slug"}
"""Of these, what allocations are narrowed by, and how they say it."""

PIECE = ("meter", "quantity", "price_per_hour", "started_at", "ended_at", "measured", "used")

Bucket = tuple[datetime, datetime]
Key = tuple[datetime, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose intervals: of this person or of these teams; of everybody without either. `only` narrows by groups."""

    user: str = ""
    teams: tuple[str, ...] | None = None
    only: Mapping[str, str | Collection[str]] = field(default_factory=dict)
    """One value of a group, or several."""

    def intervals(self) -> QuerySet[UsageInterval]:
        return UsageInterval.objects.filter(self._wanted()).order_by()

    def totals(self, kind: Kind) -> QuerySet[UsageTotal]:
        return UsageTotal.objects.filter(self._wanted(), kind=kind.name).order_by()

    def columns(self) -> set[str]:
        """What it asks of an interval."""
        whose = {"user"} if self.user else set()
        return whose | ({"team"} if self.teams is not None else set()) | {GROUPS[name] for name in self.only}

    def _wanted(self) -> Q:
        wanted = Q(user=self.user) if self.user else Q()
        for name, value in self.only.items():
            wanted &= _is(GROUPS[name], value)
        return wanted if self.teams is None else wanted & Q(team__in=self.teams)

    def allocations(self, rows: QuerySet[Allocation]) -> QuerySet[Allocation]:
        """Those of `rows` that are of this person or of these teams, narrowed. Raises KeyError if not by ALLOCATED."""
        rows = rows.filter(user__username=self.user) if self.user else rows
        for name, value in self.only.items():
            rows = rows.filter(_is(ALLOCATED[name], value))
        return rows if self.teams is None else rows.filter(team__slug__in=self.teams)


def _is(column: str, value: str | Collection[str]) -> Q:
    return Q(**({column: value} if isinstance(value, str) else {f"{column}__in": value}))


@dataclass(slots=True)
class Sum:
    """`held` is quantity × seconds by meter, `spent` the same times the price per hour: exact, and so are their sums.

    `hours` (core-hours, GiB-hours, device-hours) and `cost` divide them, once. Of cores and devices, `measured` is
    what somebody measured of `held`, and `used` what was at work of that.
    """

    spent: Decimal = Decimal(0)
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    measured: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    used: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, other: "Sum") -> None:
        self.spent += other.spent
        for mine, more in ((self.held, other.held), (self.measured, other.measured), (self.used, other.used)):
            for meter, amount in more.items():
                mine[meter] += amount

    @property
    def cost(self) -> Decimal:
        return self.spent / SECONDS_PER_HOUR

    @property
    def hours(self) -> dict[str, Decimal]:
        return {meter: held / SECONDS_PER_HOUR for meter, held in self.held.items()}

    @property
    def at_work(self) -> dict[str, int]:
        """Percent of what was measured, by meter; of one that nobody measured there is none."""
        return {meter: min(round(self.used[meter] / of * 100), 100) for meter, of in self.measured.items() if of}

    def hours_at_work(self, meter: str) -> tuple[Decimal, Decimal, Decimal]:
        """All that was held, in hours: at work, measured and not at work, and not measured."""
        held = self.held[meter]
        measured = min(self.measured[meter], held)
        used = min(self.used[meter], measured)
        at_work, rest, unknown = (part / SECONDS_PER_HOUR for part in (used, measured - used, held - measured))
        return at_work, rest, unknown


HELD = """
SELECT {own}meter, quantity, quantity * price_per_hour AS rate, measured, used,
    started_at, coalesce(ended_at, now) AS ended_at
FROM intervals CROSS JOIN asked
"""
"""All intervals asked for, with what they cost per hour."""

HELD_ALIKE = """
{held} WHERE meter <> 'storage'
UNION ALL
SELECT {own}'storage', sum(quantity), sum(quantity * price_per_hour), 0, 0,
    greatest(started_at, starts[1]) AS began, coalesce(ended_at, now) AS until
FROM intervals CROSS JOIN asked WHERE meter = 'storage' GROUP BY {own}began, until
"""
"""The same, but volumes that count from and up to the same moment are one."""

NUMBERS = """
generate_series(
    greatest(width_bucket(started_at, starts), 1),
    width_bucket(ended_at - interval '1 microsecond', starts)
)
"""
"""Of the buckets in which an interval lies."""

SUMS = """
WITH asked AS (SELECT %s::timestamptz AS now, %s::timestamptz[] AS starts, %s::timestamptz[] AS stops),
intervals AS ({intervals}),
held AS ({held}),
cut AS (
    SELECT interval.*, number,
        trunc(date_part('epoch', greatest(starts[number], started_at) - started_at))::bigint AS start,
        trunc(date_part('epoch', least(stops[number], ended_at) - started_at))::bigint AS stop,
        trunc(date_part('epoch', ended_at - started_at))::bigint AS whole
    FROM ({each}) AS interval CROSS JOIN asked CROSS JOIN LATERAL {numbers} AS bucket (number)
),
part AS (SELECT cut.*, {parts} FROM cut WHERE stop > start{few}),
found AS (
    SELECT number, {found}{columns} FROM part
    {totals}
)
SELECT number, {sums}{columns} FROM found
GROUP BY number{columns} ORDER BY sum(spent) DESC, number{columns} LIMIT %s
"""
"""The parts of intervals by the number of the bucket they lie in."""

FEW = " AND (SELECT count(*) FROM intervals) <= {at_most}"
"""No part at all, where there are more."""

TOTALS = """
UNION ALL SELECT width_bucket(started_at, starts), {summed}{columns} FROM ({totals}) AS total, asked
"""


def sums(
    scope: Scope,
    buckets: Sequence[Bucket],
    groups: Sequence[str] = (),
    *,
    most: int | None = None,
    at_most: int | None = None,
) -> dict[Key, Sum]:
    """By begin of the bucket and values of the groups, the `most` expensive of what there is. One query.

    There is nothing if no total answers, and more than `at_most` intervals had to be added up. `groups` are names of
    GROUPS. Raises KeyError for another.
    """
    if not buckets or scope.teams == ():
        return {}
    starts, stops = [list(ends) for ends in zip(*buckets, strict=True)]
    by = list(dict.fromkeys(GROUPS[name] for name in groups))
    now = clock.now().replace(microsecond=0)
    kind = _answering(scope, buckets, by)
    rows = _read(scope, starts[0], stops[-1], kind).values_list(*PIECE, *by)
    at_most = None if kind else at_most
    intervals, given = _sql(rows if at_most is None else rows[: at_most + 1])
    summed, more = _summed(scope, kind, buckets, by) if kind else ("", ())
    with connection.cursor() as cursor:
        query = SUMS.format(
            intervals=intervals,
            **_pieces(by, len(buckets)),
            parts=PARTS,
            few="" if at_most is None else FEW.format(at_most=at_most),
            found=", ".join(f"{what} AS {name}" for name, what in SUMMED.items()),
            sums=", ".join(f"sum({name}) AS {name}" for name in SUMMED),
            columns=_further(by),
            totals=summed,
        )
        cursor.execute(query, [now, starts, stops, *given, *more, most])
        found = cursor.fetchall()
    return {
        (starts[number - 1], tuple(values[len(SUMMED) :])): _sum(dict(zip(SUMMED, values, strict=False)))
        for number, *values in found
    }


def _answering(scope: Scope, buckets: Sequence[Bucket], by: Sequence[str]) -> Kind | None:
    now = clock.now()
    edges = [start for start, _ in buckets]
    edges += [stop for _, stop in buckets[-1:] if stop < now]  # past now there is nothing that an edge could cut
    return totals.answering(edges, {*by, *scope.columns()})


def _summed(scope: Scope, kind: Kind, buckets: Sequence[Bucket], by: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    """The totals to add, and what the query is given; several days together only where no bucket ends amid them."""
    since, until = buckets[0][0], buckets[-1][1]
    tiles = totals.tiles(kind, since, until) if len(buckets) == 1 else [(kind, since, until)]
    query, given = "", ()
    for step, first, last in tiles:
        rows = scope.totals(step).filter(started_at__gte=first, started_at__lt=last)
        inner, more = _sql(rows.values_list("started_at", *SUMMED, *by))
        query += TOTALS.format(summed=", ".join(SUMMED), columns=_further(by), totals=inner)
        given += more
    return query, given


def _further(columns: Sequence[str]) -> str:
    """As they go on in a list of columns."""
    return "".join(f', "{name}"' for name in columns)


def _pieces(by: Sequence[str], buckets: int) -> dict[str, str]:
    """How SUMS comes from intervals to their parts. In one bucket all of them lie, and each has one part."""
    own = totals.listed(by)
    held = HELD.format(own=own)
    if buckets == 1:
        return {"held": held, "each": totals.filled(totals.EACH, by), "numbers": "(SELECT 1)"}
    alike = HELD_ALIKE.format(held=held, own=own)
    return {"held": alike, "each": totals.filled(totals.TOGETHER, by), "numbers": NUMBERS}


def _read(scope: Scope, since: datetime, until: datetime, kind: Kind | None) -> QuerySet[UsageInterval]:
    """Intervals between the two: what is in no total of that kind, or everything."""
    rows = scope.intervals().filter(started_at__lt=until)
    closed = rows.filter(ended_at__gt=since)
    read = [closed]
    if kind:
        new, kept = closed.filter(unsummed__isnull=False), closed.filter(meter=STORAGE)
        read = [new] if kind.has_storage else [new.exclude(meter=STORAGE), kept]
    return rows.filter(ended_at=None).union(*read, all=True)


def _sql(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    found: tuple[str, tuple[Any, ...]] = rows.query.sql_with_params()
    return found


def _sum(found: Mapping[str, Decimal | None]) -> Sum:
    def by_meter(suffix: str, *meters: str) -> dict[str, Decimal]:
        return defaultdict(Decimal, {meter: of for meter in meters if (of := found[meter + suffix])})

    return Sum(
        found["spent"] or Decimal(0),
        by_meter("", *METERS),
        by_meter("_measured", "cpu", "gpu"),
        by_meter("_used", "cpu", "gpu"),
    )


def total(found: Iterable[Sum]) -> Sum:
    whole = Sum()
    for one in found:
        whole.add(one)
    return whole


def by_group(found: dict[Key, Sum]) -> dict[tuple[str, ...], Sum]:
    """The same without time, the most expensive first."""
    grouped: dict[tuple[str, ...], Sum] = defaultdict(Sum)
    for (_, values), one in found.items():
        grouped[values].add(one)
    return dict(sorted(grouped.items(), key=lambda item: (-item[1].cost, item[0])))


def rate(scope: Scope) -> Decimal:
    """What all that runs costs per hour."""
    running = metering.running(scope.intervals())
    return running.aggregate(rate=Total(F("quantity") * F("price_per_hour")))["rate"] or Decimal(0)

"""What was used and spent, by time and by what it belongs to: sums over usage intervals, open ones counted up to now.

Amount = quantity × seconds × price per hour / 3600 of the part of an interval that lies in a bucket, exact; rounding
is for whoever shows it. Buckets are half-open and follow each other, so that no second counts twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models import Sum as Total

from portal.compute.models import Allocation
from portal.lib import clock
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.models import UsageInterval

GROUPS = {
    "user": "user",
    "team": "team",
    "template": "template",
    "gpu_class": "gpu_class",
    "node": "node",
    "kind": "owner_kind",
    "owner": "owner_id",
}
"""What sums may be asked by, and the column of each: what the row said when it was opened."""

PIECE = ("meter", "quantity", "price_per_hour", "started_at", "ended_at")

Bucket = tuple[datetime, datetime]
Key = tuple[datetime, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose intervals: of this person or of these teams; of everybody without either. `only` narrows by groups."""

    user: str = ""
    teams: tuple[str, ...] | None = None
    only: dict[str, str] = field(default_factory=dict)

    def intervals(self) -> QuerySet[UsageInterval]:
        wanted = {GROUPS[name]: value for name, value in self.only.items()}
        rows = UsageInterval.objects.filter(**wanted).order_by()
        rows = rows.filter(user=self.user) if self.user else rows
        return rows if self.teams is None else rows.filter(team__in=self.teams)

    def allocations(self, rows: QuerySet[Allocation]) -> QuerySet[Allocation]:
        """Those of `rows` that are of this person or of these teams."""
        rows = rows.filter(user__username=self.user) if self.user else rows
        return rows if self.teams is None else rows.filter(team__slug__in=self.teams)


@dataclass(slots=True)
class Sum:
    """`held` is quantity × seconds by meter, `spent` the same times the price per hour: exact, and so are their sums.

    `hours` (core-hours, GiB-hours and device-hours) and `cost` divide them, once.
    """

    spent: Decimal = Decimal(0)
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, other: "Sum") -> None:
        self.spent += other.spent
        for meter, held in other.held.items():
            self.held[meter] += held

    @property
    def cost(self) -> Decimal:
        return self.spent / SECONDS_PER_HOUR

    @property
    def hours(self) -> dict[str, Decimal]:
        return {meter: held / SECONDS_PER_HOUR for meter, held in self.held.items()}


SUMS = """
WITH used AS ({intervals}),
piece AS (
    SELECT used.*, number, least(coalesce(ended_at, %s), until) - greatest(started_at, since) AS lasted
    FROM used
    CROSS JOIN LATERAL generate_series(
        greatest(width_bucket(started_at, %s::timestamptz[]), 1),
        width_bucket(coalesce(ended_at, %s) - interval '1 microsecond', %s::timestamptz[])
    ) AS number
    JOIN unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS bucket (since, until, number) USING (number)
),
held AS (SELECT piece.*, quantity * trunc(extract(epoch FROM lasted)) AS held FROM piece)
SELECT {columns}, sum(held), sum(held * price_per_hour) FROM held GROUP BY {columns} HAVING sum(held) > 0
"""
"""The pieces of intervals by the bucket they lie in, of which PostgreSQL finds the first and the last by its number."""


def sums(scope: Scope, buckets: Sequence[Bucket], groups: Sequence[str] = ()) -> dict[Key, Sum]:
    """By begin of the bucket and values of the groups; only what there is. One query, summed where the rows are.

    `groups` are names of GROUPS. Raises KeyError for another.
    """
    if not buckets or scope.teams == ():
        return {}
    now = clock.now().replace(microsecond=0)
    starts, stops = [list(ends) for ends in zip(*buckets, strict=True)]
    rows = scope.intervals().filter(Q(ended_at=None) | Q(ended_at__gt=starts[0]), started_at__lt=stops[-1])
    by = dict.fromkeys(GROUPS[name] for name in groups)
    intervals, given = rows.values_list(*PIECE, *by).query.sql_with_params()
    columns = ", ".join(f'"{name}"' for name in ("number", "meter", *by))
    found: dict[Key, Sum] = defaultdict(Sum)
    with connection.cursor() as cursor:
        cursor.execute(
            SUMS.format(intervals=intervals, columns=columns), [*given, now, starts, now, starts, starts, stops]
        )
        for number, meter, *values, held, spent in cursor:
            found[starts[number - 1], tuple(values)].add(Sum(spent, {meter: held}))
    return dict(found)


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
    """What the open intervals cost per hour together."""
    open_now = scope.intervals().filter(ended_at=None)
    return open_now.aggregate(rate=Total(F("quantity") * F("price_per_hour")))["rate"] or Decimal(0)

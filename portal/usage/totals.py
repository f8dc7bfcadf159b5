"""Totals of closed usage intervals by hour, day, week, month and year of UTC: a year is read about as fast as a day.

The ledger is what counts, totals are sums of it. The database marks an interval when it closes; what is marked is
added to the totals, and its mark taken away, in one transaction. So what the totals hold, what is marked, and what is
open are at every moment the whole ledger, each interval once.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.cache import cache
from django.db import connection, transaction

from portal.celery import ring
from portal.live.redis import Unavailable
from portal.usage.models import Unsummed

logger = logging.getLogger(__name__)

BATCH = 1_000
EVERY = timedelta(days=1)
_LOCK = 7_201_019


@dataclass(frozen=True, slots=True)
class Kind:
    """Totals of one `step` of UTC that keep apart what these columns of an interval say."""

    name: str
    step: str
    columns: tuple[str, ...]

    @property
    def has_storage(self) -> bool:
        """A home is there every day: a row for each day of each would be more than its intervals are."""
        return self.step not in ("day", "week") or "user" not in self.columns


PEOPLE = ("team", "user", "project", "template", "gpu_class", "owner_kind")
KINDS = (
    Kind("node-month", "month", ("node",)),
    Kind("team-only-month", "month", ("team",)),
    Kind("project-month", "month", ("project",)),
    Kind("template-month", "month", ("template", "gpu_class", "owner_kind")),
    Kind("user-year", "year", ("user",)),
    Kind("user-month", "month", ("user",)),
    Kind("user-template-month", "month", ("user", "template")),
    Kind("team-month", "month", ("team", "project", "template", "gpu_class", "owner_kind", "currency")),
    Kind("month", "month", PEOPLE),
    Kind("all-day", "day", ()),
    Kind("node-day", "day", ("node",)),
    Kind("template-only-day", "day", ("template",)),
    Kind("team-only-day", "day", ("team",)),
    Kind("project-day", "day", ("project",)),
    Kind("user-week", "week", ("user",)),
    Kind("user-day", "day", ("user",)),
    Kind("template-day", "day", ("template", "gpu_class", "owner_kind")),
    Kind("day", "day", PEOPLE),
    Kind("hour", "hour", ()),
)
"""The first that answers is the cheapest. Hours of each person would be more rows than there are intervals."""

COLUMNS = (*PEOPLE, "node", "currency")


def answering(edges: Sequence[datetime], columns: Collection[str]) -> Kind | None:
    """The kind that is exact for buckets with these edges and keeps these columns apart; None where none is."""
    keeping = (kind for kind in KINDS if {*columns} <= {*kind.columns})
    return next((kind for kind in keeping if all(_begin(kind.step, at) == at for at in edges)), None)


def tiles(kind: Kind, since: datetime, until: datetime) -> list[tuple[Kind, datetime, datetime]]:
    """The time between, in which `kind` is exact, and what is cheapest to read: of days, weeks where they are whole."""
    weeks = next((one for one in KINDS if one.step == "week" and one.columns == kind.columns), None)
    first, last = _begin("week", since + timedelta(days=6)), _begin("week", until)
    if kind.step != "day" or not weeks or first >= last:
        return [(kind, since, until)]
    return [(kind, since, first), (weeks, first, last), (kind, last, until)]


def _begin(step: str, at: datetime) -> datetime:
    """Of the step of UTC in which that moment lies."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return {
        "hour": hour,
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "year": day.replace(month=1, day=1),
    }[step]


PARTS = """
quantity * (stop - start) AS held, rate * (stop - start) AS worth,
floor(measured)::bigint * stop / greatest(whole, 1) - floor(measured)::bigint * start / greatest(whole, 1) AS seen,
floor(used)::bigint * stop / greatest(whole, 1) - floor(used)::bigint * start / greatest(whole, 1) AS worked
"""
"""What an interval of `whole` seconds held, cost, was measured and used from its second `start` to its second `stop`.

In whole numbers, so that all parts of an interval are together what it is, wherever it is cut.
"""
SUMMED = {
    "cpu": "CASE meter WHEN 'cpu' THEN held END",
    "memory": "CASE meter WHEN 'memory' THEN held END",
    "gpu": "CASE meter WHEN 'gpu' THEN held END",
    "storage": "CASE meter WHEN 'storage' THEN held END",
    "spent": "worth",
    "cpu_measured": "CASE meter WHEN 'cpu' THEN seen END",
    "cpu_used": "CASE meter WHEN 'cpu' THEN worked END",
    "gpu_measured": "CASE meter WHEN 'gpu' THEN seen END",
    "gpu_used": "CASE meter WHEN 'gpu' THEN worked END",
}
"""The columns of a total that are sums, and what of each part."""
EACH = """
SELECT {own}meter, quantity, rate, measured, used, started_at, ended_at FROM held
"""
"""The intervals of `held`."""
TOGETHER = """
SELECT * FROM ({each}) AS interval WHERE meter <> 'storage'
UNION ALL SELECT {own}'storage', quantity, rate, 0, 0, started_at, ended_at FROM (
    SELECT {own}sum(change) OVER so_far AS quantity, sum(worth) OVER so_far AS rate,
        at AS started_at, lead(at) OVER so_far AS ended_at
    FROM (
        SELECT {own}at, sum(change) AS change, sum(worth) AS worth
        FROM held CROSS JOIN LATERAL (
            VALUES (started_at, quantity, rate), (ended_at, -quantity, -rate)
        ) AS event (at, change, worth)
        WHERE meter = 'storage' GROUP BY {own}at
    ) AS changed
    WINDOW so_far AS ({apart}ORDER BY at)
) AS stretch WHERE quantity > 0
"""
"""The same to be cut into steps; of storage, what volumes of the same columns keep together between two changes.

Volumes are there around the clock: each of them hour by hour would be very many parts.
"""
PIECES = """
WITH held AS NOT MATERIALIZED (
    SELECT *, quantity * price_per_hour AS rate FROM usage_usageinterval WHERE ended_at > started_at AND {which}
)
SELECT {kept}, {sums}
FROM (
    SELECT cut.*, {parts}
    FROM (
        SELECT closed.*, since AT TIME ZONE 'UTC' AS begins,
            extract(epoch FROM greatest(since, started) - started)::bigint AS start,
            extract(epoch FROM least(since + interval '1 {step}', ended) - started)::bigint AS stop,
            extract(epoch FROM ended - started)::bigint AS whole
        FROM (
            SELECT *, started_at AT TIME ZONE 'UTC' AS started, ended_at AT TIME ZONE 'UTC' AS ended
            FROM ({together}) AS together
        ) AS closed
        CROSS JOIN LATERAL generate_series(
            date_trunc('{step}', started), ended - interval '1 microsecond', interval '1 {step}'
        ) AS since
    ) AS cut
) AS piece
GROUP BY {kept_by}
"""
"""What intervals hold in each step, by the columns that a kind keeps apart."""

ADD = """
INSERT INTO usage_usagetotal (kind, started_at, {columns}, {summed}) {pieces}
ON CONFLICT (kind, started_at, {columns}) DO UPDATE SET {added}
"""
DIFFERENCES = """
WITH summed AS ({pieces}),
kept AS (SELECT kind, started_at, {columns}, {summed} FROM usage_usagetotal WHERE kind = '{name}')
SELECT count(*) FROM (
    (TABLE summed EXCEPT ALL TABLE kept) UNION ALL (TABLE kept EXCEPT ALL TABLE summed)
) AS different
"""

UNMARKED = "NOT EXISTS (SELECT FROM usage_unsummed WHERE interval_id = id)"


def _add(kind: Kind, which: str, order: str = "") -> str:
    added = ", ".join(f"{name} = usage_usagetotal.{name} + excluded.{name}" for name in SUMMED)
    return ADD.format(columns=_columns(), summed=", ".join(SUMMED), pieces=_pieces(kind, which) + order, added=added)


def _pieces(kind: Kind, which: str) -> str:
    quoted = [f'"{name}"' if name in kind.columns else "''" for name in COLUMNS]
    return PIECES.format(
        together=filled(TOGETHER, kind.columns),
        kept=f"'{kind.name}', begins, {', '.join(quoted)}",
        sums=", ".join(f"coalesce(sum({what}), 0) AS {name}" for name, what in SUMMED.items()),
        parts=PARTS,
        step=kind.step,
        which=which if kind.has_storage else f"meter <> 'storage' AND {which}",
        kept_by=", ".join(["begins", *(f'"{name}"' for name in kind.columns)]),
    )


def listed(columns: Sequence[str]) -> str:
    """As they begin a list of columns, which goes on."""
    return "".join(f'"{name}", ' for name in columns)


def filled(query: str, columns: Sequence[str]) -> str:
    """EACH or TOGETHER, with these columns kept apart."""
    own = listed(columns)
    return query.format(own=own, each=EACH.format(own=own), apart=f"PARTITION BY {own[:-2]} " if own else "")


def _columns() -> str:
    return ", ".join(f'"{name}"' for name in COLUMNS)


def tick() -> None:
    """Part of every tick: what closed meanwhile is added up, and once a day a worker compares all."""
    from portal.usage import tasks

    add_up()
    with suppress(Unavailable):
        if cache.add("usage-totals-checked", True, EVERY.total_seconds()):
            ring(tasks.check_totals)


@transaction.atomic
def add_up(batch: int = BATCH) -> int:
    """Add so many closed intervals to the totals; how many there were. Of two at once the second does nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        marked = list(Unsummed.objects.values_list("pk", flat=True)[:batch])
        if marked:
            for kind in KINDS:
                cursor.execute(_add(kind, "id = ANY(%(marked)s)"), {"marked": marked})
            Unsummed.objects.filter(pk__in=marked).delete()
    return len(marked)


def differences() -> dict[str, int]:
    """By kind, how many totals are not the sum of the intervals they stand for; kinds that are right are left out."""
    found = {}
    with connection.cursor() as cursor:
        for kind in KINDS:
            names = {"columns": _columns(), "summed": ", ".join(SUMMED), "name": kind.name}
            cursor.execute(DIFFERENCES.format(pieces=_pieces(kind, UNMARKED), **names))
            found[kind.name] = cursor.fetchone()[0]
    return {name: count for name, count in found.items() if count}


@transaction.atomic
def rebuild(told: Callable[[str], None] = lambda name: None) -> None:
    """All totals anew; `told` is called with the name of each kind as it is done. Nothing is seen before all are.

    What closes meanwhile keeps its mark, so that no kind has it. They are written in the order of time, as ticks do,
    so that a month lies together on disk.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("DELETE FROM usage_usagetotal")
        cursor.execute("DELETE FROM usage_unsummed")
        for kind in KINDS:
            cursor.execute(_add(kind, UNMARKED, " ORDER BY begins"))
            told(kind.name)


def check() -> None:
    """Totals that differ from the ledger are a fault in Berth: it is logged, and all are made anew."""
    if found := differences():
        logger.error("totals of usage differed from the ledger and are made anew: %s", found)
        rebuild()

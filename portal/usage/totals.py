"""Totals of closed usage intervals by hour, day and month of UTC, so that a year is read about as fast as a day.

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


PEOPLE = ("team", "user", "project", "template", "gpu_class", "owner_kind")
KINDS = (
    Kind("gpu-month", "month", ("gpu_class",)),
    Kind("node-month", "month", ("node",)),
    Kind("team-only-month", "month", ("team",)),
    Kind("user-month", "month", ("user",)),
    Kind("user-template-month", "month", ("user", "template")),
    Kind("team-month", "month", ("team", "project", "template", "gpu_class", "owner_kind", "currency")),
    Kind("month", "month", PEOPLE),
    Kind("node-day", "day", ("node",)),
    Kind("template-day", "day", ("template", "gpu_class", "owner_kind")),
    Kind("day", "day", PEOPLE),
    Kind("hour", "hour", ()),
)
"""The first that answers is the cheapest. Hours of each person would be more rows than there are intervals."""

COLUMNS = (*PEOPLE, "node", "currency")


def answering(edges: Sequence[datetime], columns: Collection[str]) -> Kind | None:
    """The kind that is exact for buckets with these edges and keeps these columns apart; None where none is."""
    fits = (kind for kind in KINDS if {*columns} <= {*kind.columns} and all(_begins(kind.step, at) for at in edges))
    return next(fits, None)


def _begins(step: str, at: datetime) -> bool:
    """Whether one of these steps of UTC begins at that moment."""
    at = at.astimezone(UTC)
    begin = at.replace(minute=0, second=0, microsecond=0)
    begin = begin if step == "hour" else begin.replace(hour=0)
    return at == (begin.replace(day=1) if step == "month" else begin)


PIECES = """
SELECT {kept},
    coalesce(sum(held) FILTER (WHERE meter = 'cpu'), 0) AS cpu,
    coalesce(sum(held) FILTER (WHERE meter = 'memory'), 0) AS memory,
    coalesce(sum(held) FILTER (WHERE meter = 'gpu'), 0) AS gpu,
    sum(held * price_per_hour) AS spent
FROM (
    SELECT used.*, since AT TIME ZONE 'UTC' AS begins, quantity * extract(epoch FROM
        least(ended, since + interval '1 {step}') - greatest(started, since))::bigint AS held
    FROM (
        SELECT *, started_at AT TIME ZONE 'UTC' AS started, ended_at AT TIME ZONE 'UTC' AS ended
        FROM usage_usageinterval WHERE ended_at > started_at AND {which}
    ) AS used
    CROSS JOIN LATERAL generate_series(
        date_trunc('{step}', started), ended - interval '1 microsecond', interval '1 {step}'
    ) AS since
) AS piece
GROUP BY {kept_by}
"""
"""What intervals hold in each step, by the columns that a kind keeps apart."""

ADD = """
INSERT INTO usage_usagetotal (kind, started_at, {columns}, cpu, memory, gpu, spent) {pieces}
ON CONFLICT (kind, started_at, {columns}) DO UPDATE SET
    cpu = usage_usagetotal.cpu + excluded.cpu, memory = usage_usagetotal.memory + excluded.memory,
    gpu = usage_usagetotal.gpu + excluded.gpu, spent = usage_usagetotal.spent + excluded.spent
"""
DIFFERENCES = """
WITH summed AS ({pieces}),
kept AS (SELECT kind, started_at, {columns}, cpu, memory, gpu, spent FROM usage_usagetotal WHERE kind = '{name}')
SELECT count(*) FROM (
    (TABLE summed EXCEPT ALL TABLE kept) UNION ALL (TABLE kept EXCEPT ALL TABLE summed)
) AS different
"""

UNMARKED = "NOT EXISTS (SELECT FROM usage_unsummed WHERE interval_id = id)"


def _pieces(kind: Kind, which: str) -> str:
    quoted = [f'"{name}"' if name in kind.columns else "''" for name in COLUMNS]
    by = ", ".join(["begins", *(f'"{name}"' for name in kind.columns)])
    kept = f"'{kind.name}', begins, {', '.join(quoted)}"
    return PIECES.format(kept=kept, step=kind.step, which=which, kept_by=by)


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
                pieces = _pieces(kind, "id = ANY(%s)")
                cursor.execute(ADD.format(columns=_columns(), pieces=pieces), [marked])
            Unsummed.objects.filter(pk__in=marked).delete()
    return len(marked)


def differences() -> dict[str, int]:
    """By kind, how many totals are not the sum of the intervals they stand for; kinds that are right are left out."""
    found = {}
    with connection.cursor() as cursor:
        for kind in KINDS:
            pieces = _pieces(kind, UNMARKED)
            cursor.execute(DIFFERENCES.format(columns=_columns(), pieces=pieces, name=kind.name))
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
            in_order = _pieces(kind, UNMARKED) + " ORDER BY begins"
            cursor.execute(ADD.format(columns=_columns(), pieces=in_order))
            told(kind.name)


def check() -> None:
    """Totals that differ from the ledger are a fault in Berth: it is logged, and all are made anew."""
    if found := differences():
        logger.error("totals of usage differed from the ledger and are made anew: %s", found)
        rebuild()

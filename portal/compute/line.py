"""The line: in which order what waits gets a place.

What people wait for in front of a screen goes first, where INTERACTIVE_FIRST is set, and with it what has waited for a
week. Of two alike in this, that of the team goes first that has had least for its share; within a team that of the
person who has had least; and within what is one person's, what came earlier by `line_at`, which gives ranks their head
start. Whatever stands before something counts as if its team and person had had it already, for shares.ADVANCE: so what
one sends in a burst stands between what others send, not before it. In the literature this is start-time fair queueing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from portal.accounts.models import HeldBack
from portal.compute import shares
from portal.compute.models import Allocation
from portal.compute.states import HEAD_START, Desired, Phase, Rank
from portal.lib import clock

LONGEST = timedelta(days=7)
"""What has waited so long goes first."""
_COLUMNS = ("id", "team", "user", "cpu", "memory", "gpu_count", "created_at", "line_at")
_ORDER = f"""
WITH had AS ({shares.HAD}),
had_by_team AS (SELECT team, sum(hours) AS hours FROM had GROUP BY team),
waiting AS (
    SELECT id, team, person, share, held_back, {shares.IN_ADVANCE} AS hours, line_at,
        created_at - line_at >= %s OR created_at <= %s AS urgent
    FROM ({{rows}}) AS rows (id, team, person, cpu, memory, gpu_count, created_at, line_at, share, held_back)
),
within_people AS (
    SELECT waiting.*, coalesce(had.hours, 0) + coalesce(sum(waiting.hours) OVER before, 0) AS person_had
    FROM waiting LEFT JOIN had USING (team, person)
    WINDOW before AS (
        PARTITION BY team, person ORDER BY urgent DESC, line_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
within_teams AS (
    SELECT id, urgent, line_at, held_back,
        (coalesce(had_by_team.hours, 0) + coalesce(sum(p.hours) OVER before, 0)) / share AS team_had
    FROM within_people AS p LEFT JOIN had_by_team USING (team)
    WINDOW before AS (
        PARTITION BY team ORDER BY urgent DESC, person_had, line_at, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
line AS (
    SELECT id, row_number() OVER (ORDER BY urgent DESC, team_had, line_at, id) AS number, held_back FROM within_teams
)
SELECT id, number, held_back FROM line WHERE {{which}} ORDER BY number
"""  # noqa: S608  # of constants, and what Django compiles


@dataclass(frozen=True, slots=True)
class Spot:
    """Counted from 1; `held_back` says why nothing like it is placed, if so."""

    number: int
    held_back: str


def urgent_from() -> timedelta:
    """What has such a head start goes before all jobs; where nothing does, more than anything has."""
    most = HEAD_START[Rank.INTERACTIVE]
    return most if settings.INTERACTIVE_FIRST else 2 * most


def waiting() -> QuerySet[Allocation]:
    """What waits for a place, in no order."""
    return Allocation.objects.filter(phase=Phase.PENDING, desired=Desired.RUN).order_by()


def _held_back(team: Any, user: Any, project: Any) -> QuerySet[HeldBack]:
    return HeldBack.objects.filter(Q(user=None) | Q(user=user), Q(project="") | Q(project=project), team=team)


_ITS = _held_back(OuterRef("team"), OuterRef("user"), OuterRef("project"))
_OF_TEAM = (F("team__share"), Coalesce(Subquery(_ITS.values("why")[:1]), Value("")))


def eligible() -> QuerySet[Allocation]:
    """What waits and is not held back, in no order."""
    return waiting().filter(~Exists(_ITS))


def held_back(newcomer: Allocation) -> str:
    """Why it would not be placed now, whatever is free; empty where it would."""
    found = _held_back(newcomer.team, newcomer.user, newcomer.project).first()
    return found.why if found else ""


def first(rows: QuerySet[Allocation], number: int) -> list[str]:
    """The ids of so many of them that come first, in order."""
    return list(_spots(rows, "number <= %s", number))


def spots(allocation_ids: Collection[str]) -> dict[str, Spot]:
    """Where they stand in the whole line; only those that are in it. At most one query."""
    return _spots(waiting(), "id = ANY(%s)", list(allocation_ids)) if allocation_ids else {}


def before(newcomer: Allocation, rows: QuerySet[Allocation], number: int) -> list[str]:
    """The ids of those that would stand before one that is not saved yet, at most so many."""
    its = _spots(rows, "number <= %s OR id = %s", number, newcomer.pk, newcomer=newcomer)
    place = its.pop(newcomer.pk).number
    return [pk for pk, spot in its.items() if spot.number < place]


def in_order(rows: QuerySet[Allocation], ids: Collection[str]) -> list[Allocation]:
    """Those of `rows` that have these ids, in the order of these."""
    found = rows.in_bulk(list(ids))
    return [found[pk] for pk in ids if pk in found]


def _spots(
    rows: QuerySet[Allocation], which: str, *arguments: Any, newcomer: Allocation | None = None
) -> dict[str, Spot]:
    sql, of_rows = rows.values_list(*_COLUMNS, *_OF_TEAM).query.sql_with_params()
    if newcomer:
        sql += " UNION ALL SELECT %s, %s, %s, 1, 0, 0, %s, %s, %s, ''"
        whose = (newcomer.pk, newcomer.team_id, newcomer.user_id)
        of_rows += (*whose, newcomer.created_at, newcomer.line_at, newcomer.team.share)
    urgent: list[Any] = [urgent_from(), clock.now() - LONGEST]
    with connection.cursor() as cursor:
        cursor.execute(_ORDER.format(rows=sql, which=which), [*shares.arguments(), *urgent, *of_rows, *arguments])
        return {pk: Spot(number, held_back) for pk, number, held_back in cursor.fetchall()}

"""Fair share: what each person of each team has had of the machines lately, in core-hours that fade with time.

What was held counts, when it is let go, as the integral of weight × 2^(−(end − t) / HALF_LIFE) over the time in which
it was held; from then on it fades. The arithmetic is in SQL, where the line is put in order by it.
"""

from datetime import timedelta
from math import log
from typing import Any

from django.db import connection
from django.db.models import Sum

from portal.accounts.models import Team
from portal.compute.models import GIB, Allocation
from portal.compute.states import PLACED
from portal.lib import clock

HALF_LIFE = timedelta(days=7)
"""What was had so long ago counts half."""
ADVANCE = timedelta(hours=1)
"""What holds a place counts for so long at least from the moment it got it, so that a burst counts as it is placed."""
MEMORY_OF_A_CORE = 4 * GIB
CORES_OF_A_GPU = 20

_HOUR = timedelta(hours=1)
_SECONDS = HALF_LIFE.total_seconds()
_MEAN_LIFE = (HALF_LIFE / _HOUR) / log(2)

WEIGHT = f"(cpu + memory / {MEMORY_OF_A_CORE}.0 + gpu_count * {CORES_OF_A_GPU})::float8"
"""Of an allocation, in cores: its memory and its GPUs count as the cores they stand for."""
IN_ADVANCE = f"{WEIGHT} * {ADVANCE / _HOUR}"


def _faded(since: str, until: str) -> str:
    """Core-hours of an allocation from one moment to another, as they count at the other."""
    seconds = f"greatest(extract(epoch FROM {until} - {since}), 0)"
    return f"{WEIGHT} * {_MEAN_LIFE} * (1 - 2 ^ (-{seconds} / {_SECONDS}))"


HAD = f"""
SELECT team_id AS team, user_id AS person, sum(hours) AS hours FROM (
    SELECT team_id, user_id, amount * 2 ^ (extract(epoch FROM at - %s) / {_SECONDS}) AS hours FROM compute_pastuse
    UNION ALL
    SELECT team_id, user_id, greatest({_faded("coalesce(started_at, phase_at)", "%s")}, {IN_ADVANCE})
    FROM compute_allocation WHERE phase = ANY(%s)
) AS parts GROUP BY team_id, user_id
"""  # noqa: S608  # of constants
"""Team, person (ids) and core-hours as they count now, what holds a place included. Takes arguments()."""
_CHARGE = f"""
INSERT INTO compute_pastuse AS past (team_id, user_id, amount, at)
SELECT team_id, user_id, {_faded("started_at", "ended_at")}, ended_at FROM compute_allocation
WHERE id = %s AND started_at IS NOT NULL AND ended_at IS NOT NULL
ON CONFLICT (team_id, user_id) DO UPDATE SET
    amount = past.amount * 2 ^ (extract(epoch FROM past.at - excluded.at) / {_SECONDS}) + excluded.amount,
    at = excluded.at
"""  # noqa: S608


def arguments() -> list[Any]:
    now = clock.now()
    return [now, now, sorted(PLACED)]


def charge(allocation: Allocation) -> None:
    """Count what has ended; once, in the transaction that ends it. Constant time, in whatever order things end."""
    with connection.cursor() as cursor:
        cursor.execute(_CHARGE, [allocation.pk])


def had() -> dict[tuple[str, str], float]:
    """Core-hours by team and person (ids) as they count now."""
    with connection.cursor() as cursor:
        cursor.execute(HAD, arguments())
        return {(team, person): hours for team, person, hours in cursor.fetchall()}


def parts(team: Team) -> tuple[float, float]:
    """Its part of what all teams have had, and of all shares; from 0 to 1."""
    hours = had()
    own, everybody = sum(amount for (pk, _), amount in hours.items() if pk == team.pk), sum(hours.values())
    of_all = Team.objects.aggregate(whole=Sum("share"))["whole"]
    return (own / everybody if everybody else 0.0), team.share / of_all

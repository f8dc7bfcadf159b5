"""When it is busy: what was held on average in each hour of the week, over the last four whole weeks."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.utils.timezone import localtime

from portal.accounts.models import User
from portal.lib import clock, words
from portal.usage import access, periods, reports
from portal.usage.reports import Scope

WEEKS = 4
LEVELS = 5
METERS = {"gpu": "GPUs", "cpu": "Cores", "memory": "GB of memory"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Hour = tuple[int, int]
"""Day of the week from 0, Monday, and hour of the day, where the reader is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`level` is 0 where nothing was held, else from 1 to LEVELS, which is the busiest hour's."""

    average: Decimal
    level: int


def page(user: User, query: Mapping[str, str]) -> dict[str, Any]:
    """Raises Invalid for `scope`; any other `meter` is the first."""
    choices = access.choices(user)
    scope = access.chosen(choices, query.get("scope") or (access.ALL if user.is_staff else access.MINE))
    meter = query.get("meter", "gpu")
    meter = meter if meter in METERS else "gpu"
    period = _weeks()
    found = averages(scope.scope, meter, period)
    most = max(found.values())
    busiest = next(hour for hour, average in found.items() if average == most)
    return {
        "scopes": [(one.label, _link(one.slug, meter), one == scope) for one in choices],
        "meters": [(label, _link(scope.slug, name), name == meter) for name, label in METERS.items()],
        "scope": scope,
        "what": METERS[meter],
        "since": words.day(period.since),
        "until": words.day(periods.midnight(period.last)),
        "hours": range(24),
        "rows": [(name, [_cell(found[day, hour], most) for hour in range(24)]) for day, name in enumerate(WEEKDAYS)],
        "most": most,
        "busiest": f"{WEEKDAYS[busiest[0]]}s at {busiest[1]}:00",
    }


def averages(scope: Scope, meter: str, period: periods.Period) -> dict[Hour, Decimal]:
    """Held in each hour of the week. An hour that clocks skip or repeat counts as often as it was there."""
    buckets = periods.buckets(period, "hour")
    found = reports.sums(scope, buckets)
    held: dict[Hour, Decimal] = {(day, hour): Decimal(0) for day in range(7) for hour in range(24)}
    seconds: dict[Hour, int] = defaultdict(int)
    for start, stop in buckets:
        local = localtime(start)
        hour = (local.weekday(), local.hour)
        seconds[hour] += int((stop - start).total_seconds())
        if (start, ()) in found:
            held[hour] += found[start, ()].held.get(meter, Decimal(0))
    return {hour: amount / seconds[hour] for hour, amount in held.items()}


def _weeks() -> periods.Period:
    today = localtime(clock.now()).date()
    return periods.Period(today - timedelta(weeks=WEEKS), today - timedelta(days=1))


def _link(scope: str, meter: str) -> str:
    return "?" + urlencode({"scope": scope, "meter": meter})


def _cell(average: Decimal, most: Decimal) -> Cell:
    return Cell(average, -int(-average * LEVELS // most) if average else 0)

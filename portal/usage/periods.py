"""Stretches of time that reports are asked for, and their hours, days and months in the reader's time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from django.utils.timezone import get_current_timezone, localtime

from portal.lib import clock
from portal.lib.errors import Invalid

MOST_BUCKETS = 800
MOST_DAYS = 62
"""More days than these are shown as months."""
PERIODS = {"month": "This month", "last-month": "Last month", "7": "7 days", "30": "30 days", "year": "This year"}
INTERVALS = ("hour", "day", "month")


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open, whole days."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        return midnight(self.first)

    @property
    def until(self) -> datetime:
        return midnight(self.last + timedelta(days=1))

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def step(self) -> str:
        """What it is shown by."""
        return "day" if self.days <= MOST_DAYS else "month"

    @property
    def before(self) -> "Period":
        """As many days, just before."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))


def midnight(day: date) -> datetime:
    """When that day begins where the reader is. In UTC, because Python takes two times of one zone apart by their
    clocks, also when those were changed in between. At the ends of the calendar it may be the calendar's end.
    """
    begins = datetime.combine(day, time(), get_current_timezone())
    try:
        return begins.astimezone(UTC)
    except OverflowError:
        return begins.replace(tzinfo=UTC)


def named(name: str) -> Period:
    """One of PERIODS, or as `dated`; this month for any other."""
    today = localtime(clock.now()).date()
    first = today.replace(day=1)
    match name:
        case "last-month":
            last = first - timedelta(days=1)
            return Period(last.replace(day=1), last)
        case "7" | "30":
            return Period(today - timedelta(days=int(name) - 1), today)
        case "year":
            return Period(today.replace(month=1, day=1), today)
        case _:
            return dated(name) or Period(first, today)


def dated(name: str) -> Period | None:
    """The month `2026-11` or the day `2026-11-05`; None for what is neither or has not begun."""
    if not (found := re.fullmatch("([12][0-9]{3}-[0-9]{2})(-[0-9]{2})?", name)):
        return None
    try:
        first = date.fromisoformat(name if found[2] else f"{name}-01")
    except ValueError:
        return None
    last = first if found[2] else _next_month(first) - timedelta(days=1)
    return Period(first, last) if first <= localtime(clock.now()).date() else None


def month_named(name: str) -> tuple[datetime, datetime]:
    """Begin and end of `2026-11` in UTC, in which statements count; without a name of this month. Raises Invalid."""
    if not name:
        return clock.month_of(clock.now())
    if not re.fullmatch("[12][0-9]{3}-(0[1-9]|1[0-2])", name):
        raise Invalid.field("month", "Name a month by year and number, such as 2026-11.")
    return clock.month_of(datetime(int(name[:4]), int(name[5:]), 1, tzinfo=UTC))


def buckets(period: Period, interval: str) -> list[tuple[datetime, datetime]]:
    """That follow each other without a gap. Raises Invalid for `interval`, also when they are too many.

    A day has 23 or 25 hours where clocks are put forward or back. The last hour may be half of one, where clocks are
    put forward or back by that.
    """
    edges = _EDGES[interval](period) if interval in _EDGES else []
    if not 2 <= len(edges) <= MOST_BUCKETS + 1:
        raise Invalid.field("interval", f"Choose {', '.join(INTERVALS)} so that it gives 1 to {MOST_BUCKETS} steps.")
    return list(pairwise(edges))


def _days(period: Period) -> list[datetime]:
    count = min(period.days + 1, MOST_BUCKETS + 2)
    return [midnight(period.first + timedelta(days=n)) for n in range(max(count, 0))]


def _hours(period: Period) -> list[datetime]:
    count = int((period.until - period.since) / timedelta(hours=1)) + 1
    edges = [period.since + timedelta(hours=n) for n in range(min(count, MOST_BUCKETS + 2))]
    return edges if edges[-1] == period.until else [*edges, period.until]


def _months(period: Period) -> list[datetime]:
    edges = [period.since]
    day = _next_month(period.first)
    while day <= period.last and len(edges) <= MOST_BUCKETS:
        edges.append(midnight(day))
        day = _next_month(day)
    return [*edges, period.until]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


_EDGES = {"hour": _hours, "day": _days, "month": _months}

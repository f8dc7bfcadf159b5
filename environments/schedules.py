"""When a workspace starts and stops by the week: pure functions of a plan and the time, in the plan's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LATE = timedelta(hours=2)
"""A start that could not happen for so long is left out: nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`days` as in DAYS, in their order. A stop that is not later than the start is on the morning after."""

    days: tuple[str, ...]
    start: time | None
    stop: time | None
    zone: str


@dataclass(frozen=True, slots=True)
class Event:
    """`what` is `start` or `stop`."""

    at: datetime
    what: str


def upcoming(plan: Plan, after: datetime, count: int = 2) -> list[Event]:
    """The next ones, at most a week ahead."""
    today = after.astimezone(ZoneInfo(plan.zone)).date()
    found = _events(plan, today - timedelta(days=1), today + timedelta(days=8))
    return [event for event in found if event.at > after][:count]


def due(plan: Plan, since: datetime, now: datetime) -> Event | None:
    """What should have happened between `since` and `now`: only the last of it, and no start that is LATE."""
    zone = ZoneInfo(plan.zone)
    first = max(since, now - timedelta(days=8)).astimezone(zone).date() - timedelta(days=1)
    missed = [event for event in _events(plan, first, now.astimezone(zone).date()) if since < event.at <= now]
    if not missed or (missed[-1].what == "start" and now - missed[-1].at > LATE):
        return None
    return missed[-1]


def _events(plan: Plan, first: date, last: date) -> list[Event]:
    return sorted(_unsorted(plan, first, last), key=lambda event: event.at)


def _unsorted(plan: Plan, first: date, last: date) -> Iterator[Event]:
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        if DAYS[day.weekday()] not in plan.days:
            continue
        if plan.start is not None:
            yield Event(_moment(day, plan.start, plan.zone), "start")
        if plan.stop is not None:
            over_night = plan.start is not None and plan.stop <= plan.start
            yield Event(_moment(day + timedelta(days=over_night), plan.stop, plan.zone), "stop")


def _moment(day: date, at: time, zone: str) -> datetime:
    """A time that the clocks skip comes as much later as they skip; one that comes twice is the first."""
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)

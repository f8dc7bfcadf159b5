"""Due times of a cron expression in a time zone: pure functions, in UTC where they come out.

As Debian's cron does it: where the clocks are put forward, a fixed time that does not exist comes at the end of the
gap; where they are put back, a fixed time that comes twice counts the first time. An expression with a `*` in minute
or hour goes on by the time that really passes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from portal.lib.errors import Invalid

LONGEST = 100
WINDOWS = tuple(timedelta(days=days) for days in (1 / 12, 2, 62, 3000))
"""How far back the latest due time is looked for: a few thousand steps at most, however often it is due."""


def check(cron: str, zone: str) -> str:
    """The expression, tidied. Raises Invalid naming `cron` or `time_zone`."""
    check_zone(zone)
    parts = cron.split()
    if len(parts) != 5 or len(cron) > LONGEST:
        raise Invalid.field(
            "cron", "Write five fields: minute, hour, day, month, weekday; “0 6 * * 1-5” is 6:00 on workdays."
        )
    tidy = " ".join(parts)
    try:
        first = next(following(tidy, zone, datetime(2024, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise Invalid.field("cron", f"{str(error).replace('Bad', 'There is a bad')} in “{tidy}”.") from error
    if first is None:
        raise Invalid.field("cron", f"“{tidy}” never comes.")
    return tidy


def check_zone(zone: str) -> None:
    if zone not in available_timezones():
        raise Invalid.field("time_zone", f"There is no time zone “{zone[:60]}”. Write one such as Europe/Berlin.")


def following(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Due times later than `after`, one by one."""
    # cronsim goes by the wall clock, so that in an hour that comes twice it may begin behind `after`.
    found = (at.astimezone(UTC) for at in CronSim(cron, after.astimezone(ZoneInfo(zone))))
    return (at for at in found if at > after)


def first_after(cron: str, zone: str, after: datetime) -> datetime:
    return next(following(cron, zone, after))


def upcoming(cron: str, zone: str, after: datetime, count: int = 5) -> list[datetime]:
    return list(islice(following(cron, zone, after), count))


def latest(cron: str, zone: str, due: datetime, now: datetime) -> datetime:
    """The last due time from `due`, which is one, to `now`."""
    for window in WINDOWS:
        begin = max(due, now - window)
        found = list(takewhile(lambda at: at <= now, following(cron, zone, begin)))
        if found:
            return found[-1]
    return due

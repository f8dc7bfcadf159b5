"""Numbers as people say them: durations, moments in the reader's time zone, amounts of money and of memory."""

from datetime import datetime
from decimal import Decimal

from django.utils.timezone import localtime

from portal.lib.money import CENT, Money

SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
LEAST = Decimal("0.0001")
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """8.3 s, 42 s, 1 min 15 s, 16 min, 3 h 12 m, 2 d 4 h."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    if whole < DAY:
        return _two(whole, HOUR, "h", MINUTE, "m")
    return _two(whole, DAY, "d", HOUR, "h")


def _two(whole: int, big: int, big_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(whole, big)
    second = rest // small
    return f"{first} {big_name} {second} {small_name}" if second else f"{first} {big_name}"


def moment(at: datetime, now: datetime) -> str:
    """Just now, 12 min ago, 3 h ago, in 2 days; beyond a month the date."""
    seconds = (now - at).total_seconds()
    distance = abs(seconds)
    if distance < 10:
        return "just now"
    if distance >= 30 * DAY:
        return day(at)
    text = _rough(distance)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def _rough(distance: float) -> str:
    if distance < MINUTE:
        return f"{int(distance)} s"
    if distance < HOUR:
        return f"{int(distance // MINUTE)} min"
    if distance < DAY:
        return f"{int(distance // HOUR)} h"
    days = int(distance // DAY)
    return "1 day" if days == 1 else f"{days} days"


def day(at: datetime) -> str:
    """21 Nov 2026."""
    at = localtime(at)
    return f"{at.day} {at:%b %Y}"


def clock(at: datetime) -> str:
    """14:02 UTC."""
    return f"{localtime(at):%H:%M} {zone(at)}"


def exactly(at: datetime) -> str:
    """21 Nov 2026, 14:02 UTC."""
    return f"{day(at)}, {clock(at)}"


def point(at: datetime, now: datetime) -> str:
    """14:02 UTC; with its day where that is another than today."""
    return clock(at) if localtime(at).date() == localtime(now).date() else exactly(at)


def zone(at: datetime) -> str:
    """What clocks here go by then: UTC, CET; UTC-03 where that has no name."""
    name = localtime(at).tzname() or ""
    return name if name.isalpha() else f"UTC{name}"


def money(value: Money) -> str:
    """€ 2.41; four digits where two would say nothing, and "< € 0.0001" where four would not."""
    sign, size = SIGNS.get(value.currency, value.currency), abs(value.amount)
    if Decimal(0) < size < LEAST:
        return f"< {sign} {LEAST}"
    return f"{sign} {value.amount:,.{4 if Decimal(0) < size < CENT else 2}f}"


def percent(share: float | Decimal) -> str:
    """0.287: 29 %."""
    return f"{share * 100:.0f} %"


def plain(number: Decimal) -> str:
    """Without trailing zeros and without an exponent: 2.00 is "2", 1.50 is "1.5"."""
    return f"{number.normalize():f}"


def size(count: float) -> str:
    """Bytes: 96 MB, 1.4 GB; a GB is 1024³ bytes here, as in the sizes of the catalog."""
    for unit, scale in (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if count >= scale:
            amount = count / scale
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{count:.0f} bytes"

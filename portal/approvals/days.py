"""Days as people write them, as moments: in the reader's time zone, in UTC for the API."""

from datetime import date, datetime, timedelta

from portal.usage.periods import midnight as begin_of

__all__ = ["begin_of", "end_of"]


def end_of(day: date) -> datetime:
    """The midnight after it."""
    return begin_of(day + timedelta(days=1)) if day < date.max else begin_of(day)

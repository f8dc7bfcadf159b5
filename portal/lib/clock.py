"""The one place that asks what time it is, so that a test can move and stop it; and the months things count in."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_offset = timedelta(0)
_stopped: datetime | None = None


def now() -> datetime:
    return (_stopped or datetime.now(UTC)) + _offset


def month_of(at: datetime) -> tuple[datetime, datetime]:
    """Begin and end of its month of UTC, in which budgets, limits, statements and exports count."""
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Everything in this process sees the time `by` later."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before


@contextmanager
def stopped() -> Iterator[None]:
    """Everything in this process sees the same moment, but for what `shifted` adds."""
    global _stopped
    before, _stopped = _stopped, _stopped or datetime.now(UTC)
    try:
        yield
    finally:
        _stopped = before

"""Which announcements count now, for whom; and until when Berth is under maintenance."""

from datetime import datetime

from django.db.models import Q, QuerySet

from portal.accounts.models import User
from portal.announcements.models import Announcement
from portal.lib import clock, ids, words
from portal.lib.errors import Next, NotFound

TOPIC = "announcements"


def counting() -> QuerySet[Announcement]:
    """Those that count now, the latest first."""
    now = clock.now()
    return Announcement.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), ended_at=None, starts_at__lte=now)


def shown_to(user: User | None) -> QuerySet[Announcement]:
    """Without those that they have dismissed; to nobody in particular those that are public."""
    return counting().filter(public=True) if user is None else counting().exclude(dismissed_by=user)


def announcement_for(announcement_id: str) -> Announcement:
    known = ids.PATTERN.fullmatch(announcement_id.upper())
    found = Announcement.objects.filter(pk=announcement_id.upper()).first() if known else None
    if found is None:
        raise NotFound("There is no such announcement.", next_step=Next("Home", "/"))
    return found


def maintenance_until() -> datetime | None:
    """When Berth starts something new again: after what counts now, and what follows that without a gap."""
    now = until = clock.now()
    windows = Announcement.objects.filter(maintenance=True, ended_at=None, ends_at__gt=now).order_by("starts_at")
    for starts_at, ends_at in windows.values_list("starts_at", "ends_at"):
        if starts_at > until:
            break
        until = max(until, ends_at or until)
    return until if until > now else None


def maintenance() -> str:
    """Why nothing new starts now, and when it will; empty when it may."""
    until = maintenance_until()
    when = until and words.point(until, clock.now())
    return f"Berth is under maintenance until {when}; it starts by itself then." if when else ""

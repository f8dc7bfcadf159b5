"""Writes to announcements: publish, change, end, and dismiss one for oneself."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from portal.accounts.models import User
from portal.announcements.access import TOPIC
from portal.announcements.models import Announcement, Level
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from portal.lib.states import refresh
from portal.live.redis import publish

LONGEST_TEXT = 500
FARTHEST = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Wording:
    """What an announcement says and when; from now on without `starts_at`, for good without `ends_at`."""

    text: str
    level: str = Level.INFO
    maintenance: bool = False
    public: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@transaction.atomic
def announce(wanted: Wording, *, actor: str) -> Announcement:
    """Raises Invalid naming the field of `wanted`."""
    made = Announcement.objects.create(**_columns(wanted, clock.now()))
    record(actor, "announcement.publish", made.topic, after=asdict(wording_of(made)))
    _tell()
    return made


@transaction.atomic
def change(announcement: Announcement, wanted: Wording, *, actor: str) -> Announcement:
    """Who dismissed it sees it again when it says something else. Raises Invalid, and Conflict for one that is over."""
    row = _locked(announcement)
    before, columns = wording_of(row), _columns(wanted, row.starts_at)
    if asdict(before) == columns:
        return row
    Announcement.objects.filter(pk=row.pk).update(**columns)
    refresh(row, columns)
    if (row.text, row.level, row.maintenance) != (before.text, before.level, before.maintenance):
        row.dismissed_by.clear()
    record(actor, "announcement.change", row.topic, before=asdict(before), after=asdict(wording_of(row)))
    _tell()
    return row


@transaction.atomic
def end(announcement: Announcement, *, actor: str) -> None:
    """It counts no more, or never will. Ending what is over is no error."""
    if announcement.state == "expired":
        return
    if Announcement.objects.filter(pk=announcement.pk, ended_at=None).update(ended_at=clock.now()):
        record(actor, "announcement.end", announcement.topic, before={"text": announcement.text})
        _tell()


def dismiss(announcement: Announcement, user: User) -> None:
    """Raises Conflict for a warning: it stays for as long as it counts."""
    if not announcement.dismissable:
        raise Conflict("A warning stays until it is over.", code="stays")
    announcement.dismissed_by.add(user)


def wording_of(row: Announcement) -> Wording:
    return Wording(row.text, row.level, row.maintenance, row.public, row.starts_at, row.ends_at)


def _locked(announcement: Announcement) -> Announcement:
    row = Announcement.objects.select_for_update().get(pk=announcement.pk)
    if row.state == "expired":
        raise Conflict("It is over. Publish another one.", code="over")
    return row


def _columns(wanted: Wording, otherwise: datetime) -> dict[str, Any]:
    """`otherwise`: when it starts, if not said."""
    text, starts_at = " ".join(wanted.text.split()), wanted.starts_at or otherwise
    if not text:
        raise Invalid.field("text", "Write what people should know.")
    if len(text) > LONGEST_TEXT:
        raise Invalid.field("text", f"At most {LONGEST_TEXT} characters.")
    if wanted.level not in Level.values:
        raise Invalid.field("level", f"Choose of: {', '.join(Level.values)}.")
    _check_times(starts_at, wanted.ends_at, wanted.maintenance)
    return asdict(wanted) | {"text": text, "starts_at": starts_at}


def _check_times(starts_at: datetime, ends_at: datetime | None, maintenance: bool) -> None:
    now = clock.now()
    if starts_at > now + FARTHEST:
        raise Invalid.field("starts_at", "At most a year ahead.")
    if maintenance and ends_at is None:
        raise Invalid.field("ends_at", "Say when the maintenance ends: people plan by it, and work starts again then.")
    if ends_at is None:
        return
    if ends_at <= starts_at:
        raise Invalid.field("ends_at", "It must end after it starts.")
    if ends_at <= now:
        raise Invalid.field("ends_at", "This moment is over already.")
    if ends_at > now + FARTHEST:
        raise Invalid.field("ends_at", "At most a year ahead; leave it empty for one without an end.")


def _tell() -> None:
    """Open pages, and those that say what waits for what."""
    publish(TOPIC, "allocations")

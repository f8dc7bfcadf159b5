"""Writes to delegations: lend the right to decide to somebody else for a time, and take it back."""

from datetime import datetime

from django.db import transaction

from portal.accounts.access import leads
from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Forbidden, Invalid
from portal.live.redis import publish
from portal.quotas import access, telling
from portal.quotas.models import LONGEST_DELEGATION, Delegation


@transaction.atomic
def delegate(
    user: User, to: str, *, ends_at: datetime, starts_at: datetime | None = None, team: str | None = None
) -> Delegation:
    """From now on, without `starts_at`. Without a team, an administrator's right is lent, or that of the only team led.

    The same again replaces what was. Raises Forbidden without a right, and Invalid naming the field.
    """
    if not access.has_a_right(user):
        raise Forbidden("Only administrators and leads have a right to lend.", next_step=access.YOURS)
    right, begin = _right(user, team), _begin(starts_at)
    given = Delegation(
        delegator=user, delegate=_person(user, to, right), team=right, starts_at=begin, ends_at=_end(ends_at, begin)
    )
    for earlier in access.delegations_seen_by(user).filter(delegator=user, delegate=given.delegate, team=right):
        _close(earlier, actor=user.username)
    given.save(force_insert=True)
    record(user.username, "quota.delegate", given.topic, after=_facts(given))
    telling.delegated(given)
    publish("quota-requests")
    return given


@transaction.atomic
def revoke(given: Delegation, *, actor: str) -> None:
    """It counts no more. Taking it back twice is no error."""
    if _close(given, actor=actor):
        telling.taken_back(given)
        publish("quota-requests")


def _close(given: Delegation, *, actor: str) -> bool:
    closed = Delegation.objects.filter(pk=given.pk, revoked_at=None).update(revoked_at=clock.now())
    if closed:
        record(actor, "quota.undelegate", given.topic, before=_facts(given))
    return bool(closed)


def _facts(given: Delegation) -> dict[str, str]:
    return {
        "from": given.delegator.username,
        "to": given.delegate.username,
        "right": given.right,
        "starts_at": given.starts_at.isoformat(),
        "ends_at": given.ends_at.isoformat(),
    }


def _right(user: User, slug: str | None) -> Team | None:
    """None is that of an administrator."""
    led = leads(user)
    if slug:
        found = led.filter(slug=slug[:50]).first()
        if found is None:
            raise Invalid.field("team", f"You do not lead a team called “{slug[:50]}”.")
        return found
    if user.is_staff:
        return None
    if len(led) > 1:
        raise Invalid.field("team", f"Say of which team: {', '.join(team.slug for team in led)}.")
    return led[0]


def _person(user: User, name: str, team: Team | None) -> User:
    if name == user.username:
        raise Invalid.field("to", "It is yours already.")
    here = User.objects.filter(memberships__team=team) if team else User.objects.all()
    found = here.filter(username=name[:150], is_active=True).first() if "\0" not in name else None
    if found is None:
        where = f" in team {team.name}" if team else ""
        raise Invalid.field("to", f"Nobody{where} is called “{name[:60]}”, or they are suspended.")
    return found


def _begin(at: datetime | None) -> datetime:
    now = clock.now()
    if at is not None and at > now + LONGEST_DELEGATION:
        raise Invalid.field("starts_at", f"It must begin within {LONGEST_DELEGATION.days} days.")
    return max(at or now, now)


def _end(at: datetime, begin: datetime) -> datetime:
    if not begin < at <= begin + LONGEST_DELEGATION:
        days = LONGEST_DELEGATION.days
        raise Invalid.field("ends_at", f"It must end after it begins, and within {days} days of that.")
    return at

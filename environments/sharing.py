"""Writes to shares: give a right on a running workspace to a person or a team, and take it back."""

from datetime import datetime, timedelta

from django.db import transaction

from environments import access, addresses, mails
from environments.actions import locked
from environments.models import Share, Workspace
from environments.states import ACTIVE, ShareRight, W, state_of
from portal.accounts.access import teams_of
from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.lib import clock, words
from portal.lib.errors import Conflict, Invalid
from portal.live.redis import publish

USUAL = timedelta(hours=8)
LONGEST = timedelta(days=30)
ONE_ORIGIN = (
    "Here all workspaces share one web address, so a browser could not keep theirs and yours apart. "
    "Share it to be seen, or ask an administrator for an address of its own for each workspace."
)


@transaction.atomic
def share(
    workspace: Workspace,
    *,
    right: str,
    user: str | None = None,
    team: str | None = None,
    until: datetime | None = None,
    actor: str,
) -> Share:
    """Give a right on its present run to one person or one team, for eight hours if no end is given.

    Sharing with the same again replaces what was. Raises Invalid naming the field, Conflict when it does not run.
    """
    row = locked(workspace)
    given = Share(
        workspace=row,
        user=_person(row.owner, user) if user else None,
        team=_team(row.owner, team) if team else None,
        right=_right(right),
        until=_end(until),
        created_by=row.owner,
    )
    if (given.user is None) == (given.team is None):
        raise Invalid.field("user", "Name one person, or one team.")
    if row.allocation is None or state_of(row.allocation, deleted=False) not in ACTIVE - {W.STOPPING}:
        raise Conflict(f"{row.name} does not run. Start it, then share it.", code="not_running")
    given.allocation = row.allocation
    for earlier in row.shares.filter(user=given.user, team=given.team, revoked_at=None):
        revoke(earlier, actor=actor)
    given.save(force_insert=True)
    record(actor, "workspace.share", row.topic, after=_described(given))
    if given.user is not None:
        transaction.on_commit(lambda: mails.ring_share(given.pk))
    publish(row.topic, *_followers(given))
    return given


@transaction.atomic
def revoke(share: Share, *, actor: str) -> None:
    """It opens nothing any more; open connections are cut within a minute. Taking it back twice is no error."""
    if Share.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=clock.now()):
        record(actor, "workspace.unshare", share.workspace.topic, before=_described(share))
        publish(share.workspace.topic, *_followers(share))


def _right(wanted: str) -> ShareRight:
    if wanted not in ShareRight.values:
        raise Invalid.field("right", f"Use one of: {', '.join(ShareRight.values)}.")
    if wanted == ShareRight.USE and addresses.path_mode():
        raise Invalid.field("right", ONE_ORIGIN)
    return ShareRight(wanted)


def _person(owner: User, username: str) -> User:
    if username == owner.username:
        raise Invalid.field("user", "It is yours already.")
    found = access.colleagues_of(owner).filter(username=username[:150]).first()
    if found is None:
        raise Invalid.field("user", f"Nobody in your teams is called “{username[:60]}”.")
    return found


def _team(owner: User, slug: str) -> Team:
    found = teams_of(owner).filter(slug=slug[:50]).first()
    if found is None:
        raise Invalid.field("team", f"You are not in a team called “{slug[:60]}”.")
    return found


def _end(until: datetime | None) -> datetime:
    now = clock.now()
    end = until or now + USUAL
    if not now < end <= now + LONGEST:
        raise Invalid.field("until", f"Choose an end from now to {words.exactly(now + LONGEST)}.")
    return end


def _described(share: Share) -> dict[str, str]:
    to = f"team {share.team.slug}" if share.team else f"user {share.user.username if share.user else ''}"
    return {"share": share.pk, "to": to, "right": share.right, "until": share.until.isoformat()}


def _followers(share: Share) -> list[str]:
    """Topics of the lists that it shows up on."""
    people = [share.user_id] if share.user_id else share.team.members.values_list("pk", flat=True) if share.team else []
    return [f"workspaces-{pk}" for pk in people]

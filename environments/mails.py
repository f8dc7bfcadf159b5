"""Mails to people: what they were given of somebody's workspace, each told once."""

from datetime import timedelta

from django.db.models import QuerySet

from environments.models import Handover, Share
from environments.states import ShareRight
from portal.celery import ring
from portal.lib import clock, words
from portal.notices.mails import send

LOST = timedelta(minutes=1)
STALE = timedelta(hours=1)
"""What is older is no news any more."""
BATCH = 200


def ring_share(share_id: str) -> None:
    from environments import tasks

    ring(tasks.mail_share, share_id)


def ring_offer(offer_id: str) -> None:
    from environments import tasks

    ring(tasks.mail_offer, offer_id)


def ring_due() -> None:
    """For the tick: what was given lately, and whose mail was lost on the way."""
    lately = (clock.now() - STALE, clock.now() - LOST)
    for pk in _untold_shares().filter(created_at__range=lately).values_list("pk", flat=True)[:BATCH]:
        ring_share(pk)
    for pk in _untold_offers().filter(offered_at__range=lately).values_list("pk", flat=True)[:BATCH]:
        ring_offer(pk)


def _untold_shares() -> QuerySet[Share]:
    """With persons; a team is not written to."""
    return Share.objects.filter(mailed=False, user__isnull=False, revoked_at=None, until__gt=clock.now())


def _untold_offers() -> QuerySet[Handover]:
    return Handover.objects.filter(mailed=False, answered_at=None)


def mail_share(share_id: str) -> None:
    """Tell who it is shared with; whoever marks it sends it."""
    if not _untold_shares().filter(pk=share_id).update(mailed=True):
        return
    share = Share.objects.select_related("workspace", "created_by", "user").get(pk=share_id)
    assert share.user is not None
    workspace, by = share.workspace, share.created_by.get_full_name()
    may = "use it" if share.right == ShareRight.USE else "see its page, log and metrics"
    send(
        share.user,
        f"{by} shares {workspace.name} with you",
        f"{by} shares the workspace {workspace.name} with you. You may {may} until {words.exactly(share.until)}, "
        "as long as it runs:",
        workspace.get_absolute_url(),
    )


def mail_offer(offer_id: str) -> None:
    """Tell who may take it over; whoever marks it sends it."""
    if not _untold_offers().filter(pk=offer_id).update(mailed=True):
        return
    offer = Handover.objects.select_related("workspace", "offered_by", "to").get(pk=offer_id)
    workspace, by = offer.workspace, offer.offered_by.get_full_name()
    send(
        offer.to,
        f"{by} offers you {workspace.name}",
        f"{by} offers you the workspace {workspace.name}. Look at what it starts with, then accept or decline; nothing "
        "changes until you do:",
        f"{workspace.get_absolute_url()}take-over/",
    )

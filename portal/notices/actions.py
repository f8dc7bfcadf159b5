"""Writes to notices: tell somebody something, mark as read, choose what comes by mail, forget what is old."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.live.redis import publish
from portal.notices.access import MailChoice, mail_choice, notices_of, topic
from portal.notices.delivering import ring_courier
from portal.notices.models import Delivery, MailWish, Notice, Webhook
from portal.notices.states import ALWAYS_MAILED, CHOSEN, CHOSEN_BY_MAIL, Channel, Kind, next_daily

BATCH = 500
LONGEST = 500


@transaction.atomic
def tell(user: User, kind: Kind, subject: str, text: str, path: str, facts: Mapping[str, Any] | None = None) -> bool:
    """Told if and only if the caller's transaction commits, and once for each kind and subject. True if it is news."""
    notice, new = Notice.objects.get_or_create(
        user=user,
        kind=kind,
        subject=subject,
        defaults={"text": " ".join(text.split())[:LONGEST], "path": path, "facts": dict(facts or {})},
    )
    if not new:
        return False
    if Delivery.objects.bulk_create(_deliveries(notice)):
        transaction.on_commit(ring_courier)
    publish(topic(user.pk))
    return True


def _deliveries(notice: Notice) -> Iterator[Delivery]:
    wish = MailWish.objects.filter(user=notice.user, kind=notice.kind).first()
    if notice.user.email and notice.kind in ALWAYS_MAILED:
        yield Delivery(notice=notice, channel=Channel.MAIL)
    elif notice.user.email and wish:
        at = next_daily(clock.now()) if wish.daily else clock.now()
        yield Delivery(notice=notice, channel=Channel.MAIL, daily=wish.daily, next_at=at)
    for webhook in Webhook.objects.filter(user=notice.user, enabled=True, kinds__contains=[notice.kind]):
        yield Delivery(notice=notice, channel=Channel.WEBHOOK, webhook=webhook)


def mark_read(user: User, notice_ids: Iterable[str] | None = None) -> None:
    """Those, or all. What is read already, or somebody else's, stays as it is."""
    rows = notices_of(user).filter(read_at=None)
    if notice_ids is not None:
        rows = rows.filter(pk__in=[notice_id.upper() for notice_id in notice_ids])
    if rows.update(read_at=clock.now()):
        publish(topic(user.pk))


@transaction.atomic
def choose_mail(user: User, kinds: Iterable[str], *, daily: bool = False, actor: str) -> None:
    """From now on notices of these kinds come by mail too, and of no others: at once, or all of a day in one.

    Raises Invalid for `kinds`.
    """
    before, after = mail_choice(user), MailChoice(sorted(checked_kinds(kinds, CHOSEN_BY_MAIL)), daily)
    if before == after:
        return
    MailWish.objects.filter(user=user).delete()
    MailWish.objects.bulk_create([MailWish(user=user, kind=kind, daily=daily) for kind in after.kinds])
    record(actor, "notices.mail", f"user-{user.pk}", before=asdict(before), after=asdict(after))


def checked_kinds(kinds: Iterable[str], choices: Iterable[tuple[str, str]] = CHOSEN) -> set[str]:
    known, asked = dict(choices), set(kinds)
    if asked - known.keys():
        raise Invalid.field("kinds", f"Choose of: {', '.join(known)}.")
    return asked


def forget_old() -> None:
    """Part of every tick: delete what was told NOTICE_DAYS ago, with its deliveries."""
    old = Notice.objects.filter(created_at__lt=clock.now() - timedelta(days=settings.NOTICE_DAYS))
    if ids := list(old.values_list("pk", flat=True)[:BATCH]):
        Notice.objects.filter(pk__in=ids).delete()

"""Writes to webhooks: add, switch on and off, delete, send a test."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import IntegrityError, transaction

from portal.accounts import vault
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock, ids, outward
from portal.lib.errors import Conflict, Invalid
from portal.live.redis import publish
from portal.notices.access import topic
from portal.notices.actions import checked_kinds
from portal.notices.delivering import ring_courier
from portal.notices.models import Delivery, Notice, Webhook
from portal.notices.states import Channel, DeliveryState, Kind
from portal.notices.webhooks import new_secret

MOST = 10
LONGEST_URL = 500


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """`secret` is shown once."""

    webhook: Webhook
    secret: str = field(repr=False)


@transaction.atomic
def add(user: User, url: str, kinds: Iterable[str], *, actor: str) -> NewWebhook:
    """Raises Invalid for `url` or `kinds`."""
    chosen = sorted(checked_kinds(kinds))
    if not chosen:
        raise Invalid.field("kinds", "Choose at least one.")
    if Webhook.objects.filter(user=user).count() >= MOST:
        raise Invalid.field("url", f"You have {MOST} webhooks already. Delete one first.")
    secret, webhook = new_secret(), Webhook(user=user, url=_url(url), kinds=chosen)
    vault.put(webhook, secret.encode())
    try:
        with transaction.atomic():
            webhook.save(force_insert=True)
    except IntegrityError:
        raise Invalid.field("url", "There is one for this address already.") from None
    record(actor, "webhook.add", _target(webhook), after={"host": webhook.host, "kinds": chosen})
    return NewWebhook(webhook, secret)


def _url(url: str) -> str:
    url = url.strip()
    if len(url) > LONGEST_URL:
        raise Invalid.field("url", f"Use at most {LONGEST_URL} characters.")
    try:
        outward.target(url, settings.WEBHOOK_HOSTS)
    except outward.Refused as why:
        raise Invalid.field("url", str(why)) from None
    return url


@transaction.atomic
def switch(webhook: Webhook, enabled: bool, *, actor: str) -> None:
    """While it is off, nothing is sent; what waits then is sent when it is on again."""
    if Webhook.objects.filter(pk=webhook.pk).exclude(enabled=enabled).update(enabled=enabled):
        record(actor, "webhook.enable" if enabled else "webhook.disable", _target(webhook))
        webhook.enabled = enabled
        publish(topic(webhook.user_id))


@transaction.atomic
def delete(webhook: Webhook, *, actor: str) -> None:
    """What waits for it is not sent any more. Deleting twice is no error."""
    if Webhook.objects.filter(pk=webhook.pk).delete()[0]:
        record(actor, "webhook.delete", _target(webhook), before={"host": webhook.host})
        publish(topic(webhook.user_id))


@transaction.atomic
def send_test(webhook: Webhook, *, actor: str) -> None:
    """As any other notice, but to this webhook alone. Raises Conflict while it is off, or another test waits."""
    if not Webhook.objects.select_for_update().filter(pk=webhook.pk, enabled=True).exists():
        raise Conflict("It is off. Switch it on first.", code="disabled")
    if webhook.deliveries.filter(notice__kind=Kind.TEST, state=DeliveryState.WAITING).exists():
        raise Conflict("A test is on its way already.", code="test_waits")
    notice = Notice.objects.create(
        user=webhook.user,
        kind=Kind.TEST,
        subject=f"{_target(webhook)}-{ids.new_id()}",
        text=f"A test of the webhook to {webhook.host}."[:500],
        path="/webhooks/",
        read_at=clock.now(),
    )
    Delivery.objects.create(notice=notice, channel=Channel.WEBHOOK, webhook=webhook)
    record(actor, "webhook.test", _target(webhook))
    transaction.on_commit(ring_courier)
    publish(topic(webhook.user_id))


def _target(webhook: Webhook) -> str:
    return f"webhook-{webhook.pk}"

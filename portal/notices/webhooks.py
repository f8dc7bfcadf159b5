"""A notice as a signed request, as https://www.standardwebhooks.com describes it."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence

from django.conf import settings

from portal.accounts import vault
from portal.lib import clock, outward
from portal.lib.outward import Refused
from portal.lib.sealing import Unreadable
from portal.notices.models import Delivery, Notice

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def body_of(notice: Notice) -> bytes:
    page = f"{settings.PORTAL_URL}{notice.path}"
    data = {**notice.facts, "text": notice.text, "url": page}
    return json.dumps({"type": notice.kind, "timestamp": notice.created_at.isoformat(), "data": data}).encode()


def deliver(deliveries: Sequence[Delivery]) -> None:
    """One. Sent twice, it has the same `webhook-id`. Raises Refused."""
    [delivery] = deliveries
    notice, webhook = delivery.notice, delivery.webhook
    assert webhook is not None
    try:
        secret = vault.value_of(webhook).decode()
    except Unreadable:
        raise Refused("Its secret can no longer be read; delete this webhook and make another.") from None
    body, now = body_of(notice), int(clock.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Berth",
        "webhook-id": notice.pk,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, notice.pk, now, body),
    }
    outward.post(webhook.url, body, headers, settings.WEBHOOK_HOSTS, settings.CA_BUNDLE)

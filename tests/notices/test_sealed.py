"""Secrets of webhooks are sealed with the keys of secrets: rotated with them, and missed when a key is."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from portal.accounts import vault
from portal.lib import sealing
from portal.lib.sealing import Unreadable
from portal.notices.delivering import deliver_due
from portal.notices.models import Delivery, Notice, Webhook
from tests.conftest import People
from tests.notices.receiver import Receiver

pytestmark = pytest.mark.django_db
Hook = Callable[..., tuple[Webhook, str]]
ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def use_keys(settings: Any, *configured: str) -> None:
    settings.SECRETS_KEYS = sealing.keys(",".join(configured), "installation")


def test_they_are_moved_to_the_first_key(hook: Hook, receiver: Receiver, settings: Any) -> None:
    use_keys(settings, f"old:{ONE}")
    webhook, secret = hook(receiver.url)
    use_keys(settings, f"new:{TWO}")
    assert [found.id for found in run_checks() if "key old" in found.msg] == ["accounts.E001"]
    use_keys(settings, f"new:{TWO}", f"old:{ONE}")
    call_command("rotate_secrets")
    use_keys(settings, f"new:{TWO}")
    webhook.refresh_from_db()
    assert (webhook.key_id, vault.value_of(webhook).decode()) == ("new", secret)


def test_one_that_is_copied_to_another_webhook_cannot_be_opened(hook: Hook, receiver: Receiver, people: People) -> None:
    mine, theirs = hook(receiver.url)[0], hook(receiver.url, user=people.oda)[0]
    Webhook.objects.filter(pk=theirs.pk).update(sealed=mine.sealed)
    theirs.refresh_from_db()
    with pytest.raises(Unreadable):
        vault.value_of(theirs)


def test_what_cannot_be_signed_is_not_sent_and_says_so(
    hook: Hook, receiver: Receiver, settings: Any, tell: Callable[..., Notice]
) -> None:
    use_keys(settings, f"lost:{ONE}")
    hook(receiver.url)
    use_keys(settings, f"new:{TWO}")
    tell()
    deliver_due()
    assert receiver.got == []
    assert "can no longer be read" in Delivery.objects.get().error

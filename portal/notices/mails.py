"""Mails to people: how each of them looks, and notices as one."""

from collections.abc import Sequence
from smtplib import SMTPException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

from portal.accounts.models import User
from portal.lib.outward import Refused
from portal.notices.models import Delivery


def send(to: User, subject: str, text: str, path: str, message_id: str = "") -> None:
    """Without an address there is nothing to send. `path` is the page that the mail leads to."""
    if to.email:
        body = f"Hello {to.get_short_name()},\n\n{text} {settings.PORTAL_URL}{path}\n"
        headers = {"Message-ID": message_id} if message_id else {}
        EmailMessage(subject, body, None, [to.email], headers=headers).send()


def deliver(deliveries: Sequence[Delivery]) -> None:
    """To one person, in one mail. Sent twice, it is one message to most mail programs: they go by its id.

    Raises Refused.
    """
    notices = [delivery.notice for delivery in deliveries]
    last, host = notices[-1], urlsplit(settings.PORTAL_URL).hostname or "localhost"
    *others, text = [f"{notice.text} {settings.PORTAL_URL}{notice.path}" for notice in notices[:-1]] + [last.text]
    subject = f"{len(notices)} notices from Berth" if others else text[:150]
    try:
        send(last.user, subject, "\n\n".join([*others, text]), last.path, f"<{last.pk}@{host}>")
    except (SMTPException, OSError) as error:
        raise Refused("The mail server did not take it.") from error

"""Mails to people: how each of them looks, and notices as one."""

from collections.abc import Mapping, Sequence
from smtplib import SMTPException
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from portal.accounts.models import User
from portal.lib.outward import Refused
from portal.notices.models import Delivery


def send(
    to: User, subject: str, text: str, path: str, message_id: str = "", charts: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Without an address there is nothing to send. `path` is the page that the mail leads to.

    Each of `charts` has a `title` and `bars` of a name, an amount in words and a length in percent. Programs that show
    HTML draw them, others list them.
    """
    if not to.email:
        return
    url = f"{settings.PORTAL_URL}{path}"
    listed = "".join(f"\n{chart['title']}:\n{_lines(chart)}" for chart in charts)
    body = f"Hello {to.get_short_name()},\n\n{text} {url}\n{listed}"
    headers = {"Message-ID": message_id} if message_id else {}
    mail = EmailMultiAlternatives(subject, body, None, [to.email], headers=headers)
    if charts:
        drawn = {"name": to.get_short_name(), "paragraphs": text.split("\n\n"), "url": url, "charts": charts}
        mail.attach_alternative(render_to_string("notices/mail.html", drawn), "text/html")
    mail.send()


def _lines(chart: Mapping[str, Any]) -> str:
    return "".join(f"- {name}: {amount}\n" for name, amount, _ in chart["bars"])


def deliver(deliveries: Sequence[Delivery]) -> None:
    """To one person, in one mail. Sent twice, it is one message to most mail programs: they go by its id.

    Raises Refused.
    """
    notices = [delivery.notice for delivery in deliveries]
    last, host = notices[-1], urlsplit(settings.PORTAL_URL).hostname or "localhost"
    *others, text = [f"{notice.text} {settings.PORTAL_URL}{notice.path}" for notice in notices[:-1]] + [last.text]
    subject = f"{len(notices)} notices from Berth" if others else text[:150]
    try:
        charts = [chart for notice in notices for chart in notice.facts.get("charts", ())]
        send(last.user, subject, "\n\n".join([*others, text]), last.path, f"<{last.pk}@{host}>", charts)
    except (SMTPException, OSError) as error:
        raise Refused("The mail server did not take it.") from error

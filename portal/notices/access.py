"""Notices and webhooks are their person's alone; nobody else knows of them."""

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from portal.accounts.models import User
from portal.lib import ids
from portal.lib.errors import Next, NotFound
from portal.notices.models import Delivery, MailWish, Notice, Webhook
from portal.notices.states import Kind

LATEST = 5
_OF_USER = Notice.objects.filter(user=OuterRef("pk"), read_at=None).order_by().values("user")
UNREAD = Coalesce(Subquery(_OF_USER.annotate(count=Count("pk")).values("count")), 0)
"""How many notices a user of the query has not read; a test is never unread."""


def topic(user_id: str) -> str:
    """Of their notices and of how these are delivered."""
    return f"notices-{user_id}"


def notices_of(user: User) -> QuerySet[Notice]:
    return Notice.objects.filter(user=user).exclude(kind=Kind.TEST)


def unread(user: User) -> int:
    return int(User.objects.values_list(UNREAD, flat=True).get(pk=user.pk))


@dataclass(frozen=True, slots=True)
class MailChoice:
    """Which kinds somebody wants by mail too, in alphabetical order; `daily`: all of a day in one mail."""

    kinds: list[str]
    daily: bool = False


def mail_choice(user: User) -> MailChoice:
    wishes = list(MailWish.objects.filter(user=user).order_by("kind"))
    return MailChoice([wish.kind for wish in wishes], any(wish.daily for wish in wishes))


def webhooks_of(user: User) -> QuerySet[Webhook]:
    """Each with its `latest` deliveries, and without its secret."""
    latest = Delivery.objects.select_related("notice").order_by("-id")[:LATEST]
    rows = Webhook.objects.filter(user=user).defer("sealed")
    return rows.prefetch_related(Prefetch("deliveries", latest, to_attr="latest"))


def webhook_for(user: User, webhook_id: str) -> Webhook:
    known = ids.PATTERN.fullmatch(webhook_id.upper())
    found = webhooks_of(user).filter(pk=webhook_id.upper()).first() if known else None
    if found is None:
        raise NotFound("You have no such webhook.", next_step=Next("Your webhooks", "/webhooks/"))
    return found

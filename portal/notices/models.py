"""Notice, the outbox of what people are told; their Deliveries, Webhooks, and the kinds they want by MailWish."""

from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from portal.accounts.models import Sealed, User
from portal.lib import clock, ids
from portal.notices.states import Channel, DeliveryState, Kind


class Notice(models.Model):
    """One sentence to one person, written in the transaction of what it tells.

    `subject` names what happened, so that it is told once. `path` is the page about it, `facts` the same for programs.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    subject = models.CharField(max_length=100)
    text = models.CharField(max_length=500)
    path = models.CharField(max_length=200)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now, db_index=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["kind", "subject", "user"], name="notice_once")]
        indexes = [
            models.Index(fields=["user", "-id"], name="notice_of_user"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notice_unread"),
        ]

    def __str__(self) -> str:
        return self.text


class MailWish(models.Model):
    """This person wants such notices by mail too; `daily` is the same for all their kinds: all of a day in one mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="mail_wishes")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    daily = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="mail_wish_once")]

    def __str__(self) -> str:
        return self.kind


class Webhook(Sealed):
    """An address that one person's notices of these kinds are posted to; what is sealed signs them."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    kinds = ArrayField(models.CharField(max_length=20, choices=Kind.choices))
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["user", "url"], name="webhook_once")]

    def __str__(self) -> str:
        return f"webhook to {self.host}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def bound_to(self) -> str:
        return "\0".join(["webhook", self.pk, f"user-{self.user_id}"])


class Delivery(models.Model):
    """A notice on its way. While it waits, it is tried from `next_at` on, by who has leased it.

    What is `daily` goes in one mail with all else of this person that is and is due.
    """

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    webhook = models.ForeignKey(Webhook, null=True, on_delete=models.CASCADE, related_name="deliveries")
    daily = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    next_at = models.DateTimeField(null=True, default=clock.now)
    leased_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(channel=Channel.WEBHOOK, webhook__isnull=False) | Q(channel=Channel.MAIL, webhook=None),
                name="delivery_to_a_webhook_or_by_mail",
            ),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.WAITING, next_at__isnull=False, ended_at=None)
                | (~Q(state=DeliveryState.WAITING) & Q(next_at=None, leased_until=None, ended_at__isnull=False)),
                name="delivery_waits_or_has_ended",
            ),
            models.UniqueConstraint(fields=["notice", "webhook"], name="delivery_once_per_webhook"),
            models.UniqueConstraint(fields=["notice"], condition=Q(webhook=None), name="delivery_once_by_mail"),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_of_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} by {self.channel}"

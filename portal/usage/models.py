"""Price and UsageInterval: what was held, from when to when, at which price."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from portal.lib import clock, ids


class Price(models.Model):
    """Price of one SKU (`cpu`: core, `memory`: GiB) per hour, valid until the next row of that SKU."""

    sku = models.CharField(max_length=40)
    per_hour = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField(default=clock.now)
    published_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["sku", "valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["sku", "valid_from"], name="price_once"),
            models.CheckConstraint(condition=Q(per_hour__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.per_hour} {self.currency}/h"


class UsageInterval(models.Model):
    """Half-open [started_at, ended_at) in whole seconds of one meter of one allocation; closed rows never change.

    `team`, `user`, `template` are snapshots that outlive what they name. Constraints in the migration keep
    closed rows immutable and intervals of one allocation and meter apart.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    allocation_id = models.CharField(max_length=ids.LENGTH)
    owner_kind = models.CharField(max_length=20)
    owner_id = models.CharField(max_length=ids.LENGTH)
    meter = models.CharField(max_length=20)
    quantity = models.DecimalField(max_digits=14, decimal_places=4)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    price_per_hour = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    team = models.CharField(max_length=50)
    user = models.CharField(max_length=150)
    template = models.CharField(max_length=60, blank=True)
    node = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["allocation_id", "meter"], condition=Q(ended_at=None), name="usage_one_open"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")), name="usage_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=Decimal(0)) & Q(price_per_hour__gte=Decimal(0)),
                name="usage_is_positive",
            ),
        ]
        indexes = [models.Index(fields=["owner_id", "started_at"]), models.Index(fields=["allocation_id"])]

    def __str__(self) -> str:
        return f"{self.allocation_id} {self.meter}"

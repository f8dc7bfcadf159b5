"""Announcement, and who does not want to see it any more."""

from django.db import models
from django.db.models import F, Q

from portal.accounts.models import User
from portal.lib import clock, ids


class Level(models.TextChoices):
    INFO = "info", "Information"
    WARNING = "warning", "Warning"


class Announcement(models.Model):
    """Shown from `starts_at` until `ends_at`, or for good; `ended_at`: it was taken back before that.

    While one that is `maintenance` counts, nothing new starts. One that is `public` stands on the sign-in page too.
    """

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    text = models.CharField(max_length=500)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    maintenance = models.BooleanField(default=False)
    public = models.BooleanField(default=False)
    starts_at = models.DateTimeField(default=clock.now)
    ends_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    dismissed_by = models.ManyToManyField(User, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="announcement_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(maintenance=False) | Q(ends_at__isnull=False), name="announcement_maintenance_ends"
            ),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def topic(self) -> str:
        return f"announcement-{self.pk}"

    @property
    def state(self) -> str:
        """`scheduled`, `active` or `expired`, by the clock."""
        now = clock.now()
        if self.ended_at or (self.ends_at and self.ends_at <= now):
            return "expired"
        return "scheduled" if self.starts_at > now else "active"

    @property
    def word(self) -> str:
        return "Maintenance" if self.maintenance else Level(self.level).label

    @property
    def dismissable(self) -> bool:
        return self.level == Level.INFO and not self.maintenance

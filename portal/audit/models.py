"""AuditEvent: one row per action of a person or of Berth, never changed, chained by hash."""

from django.db import models

from portal.lib import clock


class AuditEvent(models.Model):
    """`hash` covers this row and the previous row's hash, so that a removed or edited row shows."""

    at = models.DateTimeField(default=clock.now)
    actor = models.CharField(max_length=200)
    verb = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["target", "id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.verb} {self.target}"

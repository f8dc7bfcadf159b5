"""IdempotencyKey: what was answered to a request that must not be done twice."""

from django.db import models

from portal.accounts.models import User
from portal.lib import clock


class IdempotencyKey(models.Model):
    """Written first, in the transaction of what it guards: the second of two equal requests waits for it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request = models.CharField(max_length=300)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(default=clock.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return f"{self.key} {self.request}"

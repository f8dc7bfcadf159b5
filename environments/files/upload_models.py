"""Files on their way into volumes."""

from django.db import models
from django.db.models import Q

from portal.accounts.models import User
from portal.lib import clock, ids


class Upload(models.Model):
    """A file on its way into a volume; how much of it has come is the size of its partial file there."""

    id = models.CharField(primary_key=True, max_length=ids.LENGTH, default=ids.new_id, editable=False)
    volume = models.ForeignKey("environments.Volume", on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="uploads")
    folder = models.TextField(blank=True)
    name = models.CharField(max_length=255)
    length = models.BigIntegerField()
    replace = models.BooleanField(default=False)
    touched_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(length__gte=0), name="upload_length_not_negative")]

    def __str__(self) -> str:
        return self.name

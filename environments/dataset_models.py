"""What a dataset has been: its versions."""

from django.db import models
from django.db.models import F, Q

from portal.lib import clock


class DatasetVersion(models.Model):
    """Files of a dataset that a look found other than the look before; `number` counts from 1.

    `fingerprint` is over paths, sizes and times of change (see portal.lib.beneath.Extent), `bytes` what they take on
    disk. The first look that found them so was at `seen_at`, the latest at `still_at`. The files themselves are kept
    only as they are now.
    """

    dataset = models.ForeignKey("environments.Dataset", on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    files = models.PositiveIntegerField()
    bytes = models.BigIntegerField()
    seen_at = models.DateTimeField(default=clock.now)
    still_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["dataset_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="dataset_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="dataset_number_from_one"),
            models.CheckConstraint(condition=Q(still_at__gte=F("seen_at")), name="dataset_version_still_later"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id}:{self.number}"

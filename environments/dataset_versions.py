"""Versions of datasets: noted by who measures their files, found by their names."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import OuterRef, Subquery

from environments.dataset_models import DatasetVersion
from environments.models import Dataset
from portal.lib import clock
from portal.lib.beneath import Extent


@transaction.atomic
def saw(name: str, found: Extent) -> None:
    """A look at all its files found this: the next version, unless it is as before. Without any file it has none."""
    Dataset.objects.select_for_update().get(pk=name)
    before, now = newest([name]).get(name), clock.now()
    if before is not None and before.fingerprint == found.fingerprint:
        DatasetVersion.objects.filter(pk=before.pk, still_at__lt=now).update(still_at=now)
    elif before is not None or found.files:
        DatasetVersion.objects.create(
            dataset_id=name,
            number=before.number + 1 if before else 1,
            fingerprint=found.fingerprint,
            files=found.files,
            bytes=found.bytes,
            seen_at=now,
            still_at=now,
        )


def newest(names: Iterable[str]) -> dict[str, DatasetVersion]:
    """By the name of its dataset, where there is one; one query."""
    if not (wanted := set(names)):
        return {}
    versions = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    last = Dataset.objects.filter(pk__in=wanted).values(last=Subquery(versions.values("pk")[:1]))
    return {row.dataset_id: row for row in DatasetVersion.objects.filter(pk__in=last)}

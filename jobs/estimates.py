"""What a job may cost and when it may end, before that is known."""

from collections.abc import Collection
from decimal import Decimal
from statistics import median

from django.db.models import DurationField, ExpressionWrapper, F, Window
from django.db.models.functions import RowNumber

from jobs.models import Job
from jobs.states import JobState
from portal.lib.money import Money
from portal.usage import costs
from portal.usage.costs import SECONDS_PER_HOUR

TOOK = ExpressionWrapper(F("ended_at") - F("begun_at"), DurationField())
COMPARED = 20
"""So many of the owner's latest successful jobs of the same name are looked at."""


def estimates(jobs: Collection[Job]) -> dict[str, Money]:
    """By job id: an attempt as long as it may take, else as long as the owner's last jobs of that name took.

    A job that has neither is left out; nothing is guessed for what is over.
    """
    rates = costs.per_hour({job.size for job in jobs})
    usual = usual_seconds([job for job in jobs if job.max_duration_seconds is None and not job.over])
    seconds = {job.pk: job.max_duration_seconds or usual.get(job.pk) for job in jobs}
    return {job.pk: _cost(rates[job.size_id], given) for job in jobs if (given := seconds[job.pk]) is not None}


def _cost(per_hour: Money, seconds: float) -> Money:
    return Money(per_hour.amount * Decimal(seconds) / SECONDS_PER_HOUR, per_hour.currency)


def usual_seconds(jobs: Collection[Job]) -> dict[str, float]:
    """By job id, how long the owner's last jobs of that name took in the median; one query."""
    if not jobs:
        return {}
    place = Window(RowNumber(), partition_by=[F("owner"), F("name")], order_by=F("id").desc())
    alike = Job.objects.filter(
        owner__in={job.owner_id for job in jobs}, name__in={job.name for job in jobs}, state=JobState.SUCCEEDED
    )
    latest = alike.filter(begun_at__isnull=False).annotate(place=place, took=TOOK).filter(place__lte=COMPARED)
    lasted: dict[tuple[str, str], list[float]] = {}
    for owner, name, took in latest.values_list("owner", "name", "took"):
        lasted.setdefault((owner, name), []).append(took.total_seconds())
    return {job.pk: median(known) for job in jobs if (known := lasted.get((job.owner_id, job.name)))}

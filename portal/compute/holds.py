"""For how long GPUs were held: device-time between two moments, by who had it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Q, Sum, Value
from django.db.models.functions import Coalesce, Greatest, Least

from portal.compute.models import GpuHold


@dataclass(frozen=True, slots=True)
class Held:
    """Ids of person and team, and the class of the devices; None where they belong to none any more."""

    user: str
    team: str
    gpu_class: str | None
    time: timedelta


def held_between(begin: datetime, end: datetime) -> Iterator[Held]:
    """One query."""
    first, last = Value(begin, DateTimeField()), Value(end, DateTimeField())
    inside = ExpressionWrapper(Least(Coalesce("until", last), last) - Greatest("since", first), DurationField())
    holds = GpuHold.objects.filter(Q(until=None) | Q(until__gt=begin), since__lt=end).order_by()
    whose = holds.values_list("allocation__user", "allocation__team", "device__gpu_class")
    yield from (Held(*row) for row in whose.annotate(time=Sum(inside)))

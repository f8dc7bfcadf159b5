"""CPU and memory used over time, thinned so that a chart stays small."""

from datetime import datetime

from portal.compute.models import Allocation, Sample

POINTS = 240


def since(allocation: Allocation, start: datetime) -> list[Sample]:
    """At most about POINTS samples from `start` on, oldest first."""
    samples = list(Sample.objects.filter(allocation=allocation, at__gte=start).order_by("at"))
    step = max(len(samples) // POINTS, 1)
    return samples[::-step][::-1]

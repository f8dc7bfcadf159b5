"""Where in line something waits."""

from collections.abc import Collection

from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase


def positions(allocation_ids: Collection[str]) -> dict[str, int]:
    """By allocation id, counted from 1 in the order of admission; only what waits is in it. At most one query."""
    if not allocation_ids:
        return {}
    line = Allocation.objects.filter(phase=Phase.PENDING, desired=Desired.RUN).order_by("created_at", "id")
    in_line = enumerate(line.values_list("pk", flat=True).iterator(), start=1)
    return {pk: position for position, pk in in_line if pk in allocation_ids}

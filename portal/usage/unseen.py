"""What counts now though nobody has seen it run lately. If it turns out to be over, it costs only up to then."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models.functions import Coalesce

from portal.compute import owners
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.lib import clock
from portal.lib.money import Money
from portal.usage import costs
from portal.usage.reports import Scope

LATELY = timedelta(minutes=2)
"""The agent looks at everything several times in this."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Unseen:
    """`cost` is what is counted for it `since` it was last seen."""

    name: str
    url: str
    who: str
    since: datetime
    cost: Money


def unseen(scope: Scope) -> list[Unseen]:
    """As many as are shown, the longest unseen first."""
    running = Allocation.objects.filter(started_at__isnull=False).exclude(phase=Phase.ENDED)
    rows = scope.allocations(running).annotate(seen_at=Coalesce("confirmed_at", "started_at"))
    late = rows.filter(seen_at__lt=clock.now() - LATELY).select_related("user").defer("spec").order_by("seen_at")
    found = list(late[:SHOWN])
    subjects, spent = owners.subjects(found), costs.since({row.pk: row.seen_at for row in found})
    return [
        Unseen(
            name=subjects[row.owner_id].name,
            url=subjects[row.owner_id].url,
            who=row.user.get_full_name(),
            since=row.seen_at,
            cost=spent[row.pk],
        )
        for row in found
    ]

"""What runs now and does nothing: for how long, and what that has cost, the most expensive first."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.compute import owners
from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase
from portal.lib import clock
from portal.lib.money import Money
from portal.usage import costs
from portal.usage.reports import Scope

LEAST = timedelta(hours=1)
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Idle:
    """`cost` is what it has cost since it went idle, at what it costs now."""

    allocation: str
    name: str
    url: str
    who: str
    since: datetime
    cost: Money


def idle(scope: Scope) -> list[Idle]:
    """As many as are shown, of those that have done nothing for LEAST."""
    now = clock.now()
    running = Allocation.objects.filter(phase=Phase.RUNNING, desired=Desired.RUN, frozen_at=None)
    rows = list(scope.allocations(running).select_related("user").defer("spec"))
    subjects = owners.subjects(rows)
    since = {row.pk: at for row in rows if (at := subjects[row.owner_id].idle_since) and now - at >= LEAST}
    spent = costs.since(since)
    found = [
        Idle(
            allocation=row.pk,
            name=subjects[row.owner_id].name,
            url=subjects[row.owner_id].url,
            who=row.user.get_full_name(),
            since=since[row.pk],
            cost=spent[row.pk],
        )
        for row in rows
        if row.pk in since
    ]
    return sorted(found, key=lambda one: (-one.cost.amount, one.since))[:SHOWN]

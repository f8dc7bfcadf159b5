"""What runs now and does nothing, and what counts though nobody has seen it run lately; and what that has cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.compute import owners
from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase
from portal.lib import clock
from portal.lib.money import Money
from portal.usage import costs
from portal.usage.reports import Scope

IDLE = timedelta(hours=1)
UNSEEN = timedelta(minutes=2)
"""The agent looks at everything several times in this. What turns out to be over costs only up to when it was seen."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Row:
    """`cost` is what it has cost since then, at what it costs now."""

    allocation: str
    name: str
    url: str
    who: str
    since: datetime
    cost: Money


@dataclass(frozen=True, slots=True)
class Running:
    """As many of each as are shown: the most expensive that do nothing, and those unseen for longest."""

    idle: list[Row]
    unseen: list[Row]


def running(scope: Scope) -> Running:
    now = clock.now()
    placed = Allocation.objects.filter(started_at__isnull=False).exclude(phase=Phase.ENDED)
    rows = {row.pk: row for row in scope.allocations(placed).select_related("user").defer("spec")}
    subjects = owners.subjects(rows.values())
    idle = {pk: at for pk, row in rows.items() if _works(row) and (at := subjects[row.owner_id].idle_since)}
    seen = {pk: row.confirmed_at or row.started_at or now for pk, row in rows.items()}

    def told(moments: dict[str, datetime], least: timedelta) -> list[Row]:
        late = {pk: at for pk, at in moments.items() if now - at >= least}
        spent = costs.since(late)
        return [
            Row(
                allocation=pk,
                name=subjects[rows[pk].owner_id].name,
                url=subjects[rows[pk].owner_id].url,
                who=rows[pk].user.get_full_name(),
                since=at,
                cost=spent[pk],
            )
            for pk, at in late.items()
        ]

    return Running(
        idle=sorted(told(idle, IDLE), key=lambda one: (-one.cost.amount, one.since))[:SHOWN],
        unseen=sorted(told(seen, UNSEEN), key=lambda one: one.since)[:SHOWN],
    )


def _works(row: Allocation) -> bool:
    return row.phase == Phase.RUNNING and row.desired == Desired.RUN and row.frozen_at is None

"""Taking back what is lent: where the catalog says so, jobs that run on what their team has borrowed are ended for a
team that waits for its own. They stand in line again, which is no failure of theirs."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from portal.compute import actions, admission, line, owners
from portal.compute.limits import Limits, amounts, whose
from portal.compute.models import Allocation
from portal.compute.placement import Need
from portal.compute.states import PLACED, Desired, Reason
from portal.lib import clock
from portal.lib.postponing import Postponed
from portal.notices.actions import tell
from portal.notices.states import Kind

ACTOR = "lending"
LOOKED_AT = 200
"""So many in line are asked whether they wait for what is lent."""
MOST_TIMES = 3
"""No job is ended more often for this: so each is done some day."""
_failed = Postponed("what is to be taken back for")


def tick() -> None:
    """Part of every tick: the first in line that waits for what its team lends gets it, of each resource."""
    limits = Limits()
    if not limits.reclaimed:
        return
    waiting = line.eligible().exclude(pk__in=_failed.rows())
    for one in _first_of_each(limits, line.in_order(waiting, line.first(waiting, LOOKED_AT))):
        with _failed.trying(one.pk), transaction.atomic():
            admission.alone()
            _take_back(one)


def _first_of_each(limits: Limits, waiting: list[Allocation]) -> Iterator[Allocation]:
    seen = set[str]()
    for one in waiting:
        limit = limits.owed(*whose(one))
        if limit and limit.resource not in seen:
            seen.add(limit.resource)
            yield one


def _take_back(waiting: Allocation) -> None:
    """As much as it lacks, of the jobs that began last; nothing where that would not be enough."""
    limits, (_, _, wanted) = Limits(), whose(waiting)
    limit = limits.owed(*whose(waiting))
    if limit is None or limit.reach is None:
        return
    resource, lacks = limit.resource, limit.used + wanted[limit.resource] - limit.reach
    found: list[Allocation] = []
    for held in _held(limits.reclaimed[resource]):
        gives = amounts(held.owner_kind, Need.of(held)).get(resource)
        if lacks > 0 and gives and limits.of("team", held.team_id, resource).borrowed:
            limits.give(held)
            lacks -= gives
            found.append(held)
    if lacks <= 0:
        _end([one for one in found if one.desired != Desired.END], waiting)


def _held(after: timedelta) -> list[Allocation]:
    """What ends already; then what has run so long, was not ended for this too often, and begins anew by itself."""
    placed = Allocation.objects.filter(phase__in=PLACED).select_related("user")
    kinds = {"owner_kind__in": owners.preemptible(), "started_at__lte": clock.now() - after}
    before = Allocation.objects.filter(owner_id=OuterRef("owner_id"), reason=Reason.PREEMPTED).order_by()
    times = Coalesce(Subquery(before.values("owner_id").values_list(Count("pk"))), 0)
    running = placed.exclude(desired=Desired.END).filter(**kinds).annotate(times=times).filter(times__lt=MOST_TIMES)
    return [*placed.filter(desired=Desired.END), *running.order_by("-started_at")]


def _end(found: list[Allocation], waiting: Allocation) -> None:
    subjects = owners.subjects(found)
    for one in found:
        message = f"It ran on what its team had borrowed; team {waiting.team.name} needed it."
        actions.end(one, actor=ACTOR, reason=Reason.PREEMPTED, message=message)
        subject = subjects[one.owner_id]
        text = f"{subject.name} was stopped and stands in line again: {message[0].lower()}{message[1:]}"
        facts = {"allocation": {"id": one.pk}}
        tell(one.user, Kind.WORK_STOPPED, f"{one.pk}-preempted", text, subject.url, facts)

"""What must hold, as one function: used by tests, by `manage.py check_invariants` and by chaos runs."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Sum

from portal.audit.actions import verify
from portal.compute.agent.watching import CANARY, allocation_of
from portal.compute.models import Allocation, Node
from portal.compute.specs import container_name
from portal.compute.states import PLACED, Phase
from portal.gateway.models import EntryTicket, WorkspaceSession
from portal.lib import clock
from portal.usage.models import UsageInterval
from runtimes.base import ContainerState, Observation, Runtime

LONGEST_WAIT = timedelta(minutes=5)


def violations(runtime: Runtime | None = None) -> list[str]:
    """Sentences, each beginning with the invariant's number; empty when all hold.

    I1 looks at the engine and is left out without a runtime. GPU holds (I5), quota (in I4), roll-ups (I8)
    and approvals (I9) join with what they speak of.
    """
    found = [*_intervals(), *_capacity(), *_next_looks(), *_endings(), *_audit()]
    return found + (list(_containers(runtime.list(settings.INSTANCE))) if runtime else [])


def _containers(seen: list[Observation]) -> Iterator[str]:
    names = {one.name: one for one in seen if one.labels.get("berth.owner") != CANARY}
    rows = Allocation.objects.in_bulk({allocation_of(name) for name in names})
    for name in names:
        row = rows.get(allocation_of(name))
        if row is None or container_name(row) != name:
            yield f"I1 container {name} belongs to no allocation generation"
        elif not row.open and row.next_look_at is None:
            yield f"I1 container {name} outlived its allocation"
    for allocation_id, count in Counter(map(allocation_of, names)).items():
        if count > 1:
            yield f"I1 allocation {allocation_id} has {count} containers"
    for row in Allocation.objects.filter(phase=Phase.RUNNING, unknown_since=None):
        container = names.get(container_name(row))
        if container is None or container.state != ContainerState.RUNNING:
            yield f"I1 allocation {row.pk} says running, the engine does not"


def _intervals() -> Iterator[str]:
    rows = UsageInterval.objects.order_by("allocation_id", "meter", "started_at", F("ended_at").asc(nulls_last=True))
    before: UsageInterval | None = None
    for row in rows.iterator():
        if before is not None and (before.allocation_id, before.meter) == (row.allocation_id, row.meter):
            if before.ended_at is None:
                yield f"I2 {row} has two open intervals"
            elif row.started_at < before.ended_at:
                yield f"I3 {row} overlaps the interval before it"
        before = row


def _capacity() -> Iterator[str]:
    for node in Node.objects.all():
        held = Allocation.objects.filter(node=node, phase__in=PLACED).aggregate(cpu=Sum("cpu"), memory=Sum("memory"))
        if (held["cpu"] or 0) > node.schedulable_cpu or (held["memory"] or 0) > node.schedulable_memory:
            yield f"I4 node {node} holds more than it has: {held}"


def _next_looks() -> Iterator[str]:
    for row in Allocation.objects.exclude(phase=Phase.ENDED):
        if row.next_look_at is None or row.next_look_at > clock.now() + LONGEST_WAIT:
            yield f"I6 allocation {row.pk} ({row.phase}) is looked at {row.next_look_at}"


def _endings() -> Iterator[str]:
    ended = Allocation.objects.filter(phase=Phase.ENDED)
    ids = set(UsageInterval.objects.filter(ended_at=None).values_list("allocation_id", flat=True))
    for pk in ended.filter(pk__in=ids).values_list("pk", flat=True):
        yield f"I7 ended allocation {pk} has an open interval"
    stopped = {"workspace__allocation__phase": Phase.ENDED}
    for session in WorkspaceSession.objects.filter(**stopped):
        yield f"I7 {session} outlives its allocation"
    for ticket in EntryTicket.objects.filter(used_at=None, expires_at__gt=clock.now(), **stopped):
        yield f"I7 {ticket} outlives its allocation"


def _audit() -> Iterator[str]:
    yield from (f"I10 audit event {number} does not verify" for number in verify())

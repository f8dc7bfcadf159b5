"""What must hold, as one function: used by tests, by `manage.py check_invariants` and by chaos runs."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from environments.models import Volume
from jobs.holding import UNDER_WAY
from jobs.models import Attempt, Job
from jobs.plan_models import Sweep
from portal.audit.actions import verify
from portal.compute.agent.watching import CANARY, allocation_of
from portal.compute.models import Allocation, GpuHold, Node
from portal.compute.specs import container_name
from portal.compute.states import PLACED, Phase
from portal.gateway.models import EntryTicket, WorkspaceSession
from portal.lib import clock
from portal.quotas.models import QuotaRequest
from portal.quotas.states import R
from portal.usage import totals
from portal.usage.models import Statement, UsageInterval
from runtimes.base import ContainerState, Observation, Runtime

LONGEST_WAIT = timedelta(minutes=5)


def violations(runtime: Runtime | None = None) -> list[str]:
    """Sentences, each beginning with the invariant's number; empty when all hold.

    I1 looks at the engine and is left out without a runtime. Limits on GPUs hold when something is placed, and may be
    lower than what is held afterwards: a grant ends, what runs goes on.
    """
    found = [*_intervals(), *_capacity(), *_devices(), *_approvals(), *_next_looks(), *_endings(), *_jobs(), *_audit()]
    found += [*_statements(), *_totals()]
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


def _statements() -> Iterator[str]:
    one = F("items__seconds") * F("items__interval__quantity") * F("items__interval__price_per_hour")
    sums = Statement.objects.annotate(sum=Sum(one, output_field=Statement._meta.get_field("spent")))
    for statement in sums.exclude(spent=Coalesce("sum", Decimal(0))):
        yield f"I8 statement {statement.pk} says {statement.spent}, its items {statement.sum}"


def _totals() -> Iterator[str]:
    for kind, count in totals.differences().items():
        yield f"I8 {count} totals of usage by {kind} are not the sum of their intervals"


def _capacity() -> Iterator[str]:
    for node in Node.objects.all():
        held = Allocation.objects.filter(node=node, phase__in=PLACED).aggregate(cpu=Sum("cpu"), memory=Sum("memory"))
        if (held["cpu"] or 0) > node.schedulable_cpu or (held["memory"] or 0) > node.schedulable_memory:
            yield f"I4 node {node} holds more than it has: {held}"


def _devices() -> Iterator[str]:
    """Each is held once, by something that is placed on its node and holds as many as it asked for."""
    held = GpuHold.objects.filter(until=None).select_related("device", "allocation")
    for device_id, count in Counter(hold.device_id for hold in held).items():
        if count > 1:
            yield f"I5 device {device_id} is held {count} times"
    for hold in held:
        if hold.allocation.phase == Phase.ENDED:
            yield f"I7 ended allocation {hold.allocation_id} holds {hold.device}"
        elif hold.device.node_id != hold.allocation.node_id:
            yield f"I5 {hold}, which is on another node"
    numbers = Counter(hold.allocation_id for hold in held)
    for row in Allocation.objects.filter(phase__in=PLACED, gpu_count__gt=0):
        if numbers[row.pk] != row.gpu_count:
            yield f"I5 allocation {row.pk} holds {numbers[row.pk]} devices of {row.gpu_count}"


def _approvals() -> Iterator[str]:
    for request in QuotaRequest.objects.filter(Q(decided_by=F("requester")) | Q(first_by=F("requester"))):
        yield f"I9 request {request.pk} was decided by who asked"
    for request in QuotaRequest.objects.filter(decided_by=F("first_by")):
        yield f"I9 request {request.pk} was approved twice by one person"
    granted = Q(state__in=[R.APPROVED, R.PARTLY_APPROVED])
    for request in QuotaRequest.objects.filter(granted, grant=None):
        yield f"I9 request {request.pk} is approved and nothing was granted"
    for request in QuotaRequest.objects.exclude(granted).filter(grant__isnull=False):
        yield f"I9 request {request.pk} has a grant and is not approved"


def _next_looks() -> Iterator[str]:
    for row in Allocation.objects.exclude(phase=Phase.ENDED):
        if row.next_look_at is None or row.next_look_at > clock.now() + LONGEST_WAIT:
            yield f"I6 allocation {row.pk} ({row.phase}) is looked at {row.next_look_at}"


def _endings() -> Iterator[str]:
    ended = Allocation.objects.filter(phase=Phase.ENDED)
    ids = set(UsageInterval.objects.filter(ended_at=None).values_list("allocation_id", flat=True))
    for pk in ended.filter(pk__in=ids).values_list("pk", flat=True):
        yield f"I7 ended allocation {pk} has an open interval"
    for pk in Volume.objects.filter(pk__in=ids, deleted_at__isnull=False).values_list("pk", flat=True):
        yield f"I7 deleted volume {pk} has an open interval"
    stopped = {"workspace__allocation__phase": Phase.ENDED}
    for session in WorkspaceSession.objects.filter(**stopped):
        yield f"I7 {session} outlives its allocation"
    for ticket in EntryTicket.objects.filter(used_at=None, expires_at__gt=clock.now(), **stopped):
        yield f"I7 {ticket} outlives its allocation"


def _jobs() -> Iterator[str]:
    """One that is not over is held back, waits for its time or has one attempt under way; one that is over has none.
    A sweep has no more under way than it allows.
    """
    under_way = set(Attempt.objects.filter(counted=None).values_list("job", flat=True))
    for pk, begin_at, hold in Job.objects.filter(ended_at=None).values_list("pk", "begin_at", "hold"):
        if (begin_at is None and not hold) != (pk in under_way):
            yield f"I6 job {pk} begins at {begin_at} and has {'an' if pk in under_way else 'no'} attempt under way"
    for sweep in Sweep.objects.annotate(number=UNDER_WAY).filter(number__gt=F("parallelism")):
        yield f"I6 {sweep.number} points of sweep {sweep.pk} are under way, {sweep.parallelism} may be"
    for pk in Job.objects.filter(ended_at__isnull=False, pk__in=under_way).values_list("pk", flat=True):
        yield f"I7 job {pk} is over, its attempt is not"
    settled = Attempt.objects.filter(counted__isnull=False).exclude(allocation__phase=Phase.ENDED)
    for attempt in settled:
        yield f"I7 {attempt} is settled, its allocation is not ended"


def _audit() -> Iterator[str]:
    yield from (f"I10 audit event {number} does not verify" for number in verify())

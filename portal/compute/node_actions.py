"""Closing a node to what is new, opening it again, and emptying it by a given moment."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from portal.audit.actions import record
from portal.audit.models import AuditEvent
from portal.compute import actions, admission, owners
from portal.compute.actions import ring_admission
from portal.compute.models import Allocation, Node
from portal.compute.states import PLACED, Desired, Reason
from portal.lib import clock, words
from portal.lib.errors import Invalid, NotFound
from portal.lib.ids import PATTERN
from portal.lib.postponing import Postponed
from portal.live.redis import publish
from portal.notices.actions import tell
from portal.notices.states import Kind

LONGEST_DRAIN = timedelta(days=7)
MINUTE = timedelta(minutes=1)
"""The form knows no seconds, and “now” is a moment too."""
BATCH = 50
ACTOR = "drain"
_unstopped = Postponed("the end of what runs on a drained node")


def node_for(node_id: str) -> Node:
    """Raises NotFound."""
    node = Node.objects.filter(pk=node_id.upper()).first() if PATTERN.fullmatch(node_id.upper()) else None
    if node is None:
        raise NotFound("There is no such node.")
    return node


@transaction.atomic
def cordon(node: Node, because: str, *, actor: str) -> None:
    """Nothing new is placed on it; what runs goes on. Closing it twice is no error: the first reason stands."""
    if Node.objects.filter(pk=node.pk, cordoned_at=None).update(cordoned_at=clock.now(), cordoned_because=because):
        record(actor, "node.cordon", node.topic, after={"name": node.name, "because": because})
        _publish()


@transaction.atomic
def uncordon(node: Node, *, actor: str) -> None:
    """What waits may be placed on it again, and it is no longer emptied. Opening an open one is no error."""
    undrain(node, actor=actor)
    opened = Node.objects.filter(pk=node.pk, cordoned_at__isnull=False)
    if opened.update(cordoned_at=None, cordoned_because=""):
        record(actor, "node.uncordon", node.topic, before={"because": node.cordoned_because})
        _publish()
        transaction.on_commit(ring_admission)


@transaction.atomic
def drain(node: Node, until: datetime, because: str, *, actor: str) -> None:
    """Close it, tell the owners of what runs on it, and stop what has not ended by `until`.

    Another moment or reason takes the place of the one before. Raises Invalid for `until` and `because`.
    """
    because, now = " ".join(because.split()), clock.now()
    if not because:
        raise Invalid.field("because", "Say why: the owners of what runs there read it.")
    if not now - MINUTE <= until <= now + LONGEST_DRAIN:
        raise Invalid.field("until", "Choose a moment from now on, at most 7 days ahead.")
    admission.alone()
    row = Node.objects.select_for_update(no_key=True).get(pk=node.pk)
    if (row.drain_at, row.cordoned_because) == (until, because):
        return
    drained = {"drain_at": until, "cordoned_at": row.cordoned_at or now, "cordoned_because": because}
    Node.objects.filter(pk=node.pk).update(**drained)
    done = record(actor, "node.drain", node.topic, after={"name": node.name, "until": until, "because": because})
    when = words.point(until, now)
    _tell_owners(row, done, lambda name, moves: f"{row} is emptied ({because}): {name} is stopped at {when}. {moves}")
    _publish()


@transaction.atomic
def undrain(node: Node, *, actor: str) -> None:
    """What runs there may stay; it remains closed. It is no error where nothing is emptied."""
    row = Node.objects.select_for_update(no_key=True).get(pk=node.pk)
    if row.drain_at is None:
        return
    Node.objects.filter(pk=node.pk).update(drain_at=None)
    done = record(actor, "node.undrain", node.topic, before={"until": row.drain_at, "because": row.cordoned_because})
    _tell_owners(row, done, lambda name, _: f"{row} is no longer emptied: {name} stays.")
    _publish()


def end_due() -> None:
    """Part of every tick: what is still on a drained node when its time is up is asked to end."""
    due = _staying(_due()).exclude(pk__in=_unstopped.rows())
    for allocation in due.order_by("pk")[:BATCH]:
        with _unstopped.trying(allocation.pk), transaction.atomic():
            if node := _due().select_for_update(no_key=True).filter(pk=allocation.node_id).first():
                sentence = f"{node} was emptied: {node.cordoned_because.rstrip('.')}."
                actions.end(allocation, actor=ACTOR, reason=Reason.DRAINED, message=sentence[:300])


def _due() -> QuerySet[Node]:
    return Node.objects.filter(drain_at__lte=clock.now())


def _staying(nodes: Iterable[Node]) -> QuerySet[Allocation]:
    return Allocation.objects.filter(node__in=nodes, phase__in=PLACED).exclude(desired=Desired.END)


def _tell_owners(node: Node, done: AuditEvent, told: Callable[[str, str], str]) -> None:
    """What is `told` of its name and of what becomes of it; once for what was done."""
    staying = list(_staying([node]).select_related("user"))
    subjects = owners.subjects(staying)
    for one in staying:
        subject = subjects[one.owner_id]
        text = told(subject.name, owners.owner_of(one).moves)
        facts = {"allocation": {"id": one.pk, "node": node.name, "until": done.after.get("until")}}
        tell(one.user, Kind.WORK_STOPPED, f"{one.pk}-{done.pk}", text, subject.url, facts)
        publish(one.topic)


def _publish() -> None:
    publish("nodes", "allocations")

"""Admission: who gets a place on which node, first come first served, decided in one transaction."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Sum

from portal.compute.models import GIB, Allocation, Node, Size
from portal.compute.states import PLACED, Desired, Phase
from portal.compute.transitions import move
from portal.lib.words import plain
from portal.live.redis import publish

BATCH = 200
"""Rows looked at in one round: bounded work, whatever the length of the queue."""
_LOCK = 7_201_002


@dataclass(slots=True)
class Room:
    """What a node still has: cores and bytes."""

    node: Node
    cpu: Decimal
    memory: int

    def fits(self, cpu: Decimal, memory: int) -> bool:
        return cpu <= self.cpu and cpu <= self.node.cpu and memory <= self.memory

    def take(self, cpu: Decimal, memory: int) -> None:
        self.cpu -= cpu
        self.memory -= memory


@dataclass(frozen=True, slots=True)
class Availability:
    """What the launch form says of a size: `state` is now, queue or never; `reason` a sentence."""

    state: str
    reason: str


def rooms() -> list[Room]:
    """Free capacity of every node that answers."""
    held = {
        row["node"]: (row["cpu_held"], row["memory_held"])
        for row in Allocation.objects.filter(phase__in=PLACED)
        .values("node")
        .annotate(cpu_held=Sum("cpu"), memory_held=Sum("memory"))
        .order_by()
    }
    found = []
    for node in Node.objects.filter(unreachable_since=None):
        cpu, memory = held.get(node.pk, (Decimal(0), 0))
        found.append(Room(node, node.schedulable_cpu - cpu, node.schedulable_memory - memory))
    return found


def never_fits(size: Size, nodes: list[Node] | None = None) -> str:
    """What stands against it on every node, in words; empty when one could take it, or none is known yet."""
    nodes = list(Node.objects.all()) if nodes is None else nodes
    if not nodes or any(size.cpu <= n.cpu and size.memory <= n.schedulable_memory for n in nodes):
        return ""
    cpu, memory = max(n.cpu for n in nodes), max(n.schedulable_memory for n in nodes)
    return f"the largest node has {plain(cpu)} cores and {memory / GIB:.0f} GB"


def availability(sizes: list[Size]) -> dict[str, Availability]:
    """By size slug: whether it would start now, wait, or never start."""
    free, nodes = rooms(), list(Node.objects.all())
    waiting = Allocation.objects.filter(phase=Phase.PENDING, desired=Desired.RUN).count()
    answers: dict[str, Availability] = {}
    for size in sizes:
        refusal = never_fits(size, nodes)
        if refusal:
            answers[size.slug] = Availability("never", f"Never: {refusal}")
        elif not nodes:
            answers[size.slug] = Availability("queue", "No node has reported yet.")
        elif waiting or not any(room.fits(size.cpu, size.memory) for room in free):
            answers[size.slug] = Availability("queue", f"Waits for room; {waiting} in line before it.")
        else:
            answers[size.slug] = Availability("now", "Starts now.")
    return answers


@transaction.atomic
def admit() -> list[str]:
    """Place what fits, oldest first; the first that does not fit holds the line. Ids that were placed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    pending = Allocation.objects.filter(phase=Phase.PENDING, desired=Desired.RUN).order_by("created_at", "id")
    queue = list(pending.select_for_update(of=("self",))[:BATCH])
    if not queue:
        return []
    free = rooms()
    placed: list[str] = []
    while queue:
        first = queue[0]
        room = next((r for r in free if r.fits(first.cpu, first.memory)), None)
        if room is None:
            break
        room.take(first.cpu, first.memory)
        if move(first, Phase.ADMITTED, actor="admission", fenced=False, node=room.node, message=_placed(room.node)):
            placed.append(first.pk)
        queue.pop(0)
    for position, allocation in enumerate(queue, start=1):
        _explain(allocation, position, free)
    return placed


def _placed(node: Node) -> str:
    return f"placed on {node.name}"


def _explain(allocation: Allocation, position: int, free: list[Room]) -> None:
    """Store the truth about the wait, with numbers, where it changed."""
    cpu = max((room.cpu for room in free), default=Decimal(0))
    memory = max((room.memory for room in free), default=0)
    sentence = (
        f"Needs {plain(allocation.cpu)} cores and {allocation.memory / GIB:g} GB; "
        f"{plain(max(cpu, Decimal(0)))} cores and {max(memory, 0) / GIB:.1f} GB are free. Number {position} in line."
        if free
        else f"The container engine does not answer. Number {position} in line."
    )
    if Allocation.objects.filter(pk=allocation.pk).exclude(message=sentence).update(message=sentence):
        publish(allocation.topic)

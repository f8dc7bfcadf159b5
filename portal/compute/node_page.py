"""What the page of a node shows: what runs there, whose it is and when it ends, and how much is held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, Sum

from portal.accounts.models import User
from portal.compute.board import Holder, View
from portal.compute.models import GIB, Allocation, Node
from portal.compute.owners import owner_of
from portal.compute.placement import Need
from portal.compute.states import PLACED, Desired, Phase
from portal.lib import clock, words
from portal.lib.words import plain


@dataclass(frozen=True, slots=True)
class Run:
    """`ends_at` is None where nobody can say; `drained`: it is the node's end, not its own."""

    holder: Holder
    kind: str
    team: str
    needs: str
    word: str
    since: datetime
    ends_at: datetime | None
    drained: bool


@dataclass(frozen=True, slots=True)
class Capacity:
    name: str
    held: str
    free: str


def placed_on(node: Node) -> QuerySet[Allocation]:
    return Allocation.objects.filter(node=node, phase__in=PLACED).select_related("user", "team").order_by("created_at")


def emptied(allocation: Allocation | None) -> str:
    """That its node is, when it is stopped there, and what becomes of it; nothing where it may stay."""
    node = allocation.node if allocation and allocation.open else None
    if allocation is None or node is None or node.drain_at is None:
        return ""
    when = words.point(node.drain_at, clock.now())
    because, moves = node.cordoned_because.rstrip("."), owner_of(allocation).moves
    return f"{node} is emptied ({because}). It is stopped there at {when}. {moves}"


def runs(viewer: User, node: Node, rows: Sequence[Allocation]) -> list[Run]:
    view = View(viewer, rows)
    return [_run(row, view, node.drain_at) for row in rows]


def _run(row: Allocation, view: View, drain_at: datetime | None) -> Run:
    own = view.ends_at(row)
    drained = drain_at is not None and (own is None or drain_at <= own)
    return Run(
        holder=view.holder(row),
        kind=row.owner_kind,
        team=row.team.name,
        needs=str(Need.of(row)),
        word="Stopping" if row.desired == Desired.END else Phase(row.phase).label,
        since=row.started_at or row.created_at,
        ends_at=drain_at if drained else own,
        drained=drained,
    )


def capacity(node: Node) -> list[Capacity]:
    """Of what may be reserved."""
    held = placed_on(node).aggregate(cpu=Sum("cpu", default=0), memory=Sum("memory", default=0))
    cpu, memory = node.schedulable_cpu - held["cpu"], node.schedulable_memory - held["memory"]
    return [
        Capacity("Cores", plain(held["cpu"]), plain(cpu)),
        Capacity("Memory", f"{held['memory'] / GIB:.1f} GB", f"{memory / GIB:.1f} GB"),
    ]

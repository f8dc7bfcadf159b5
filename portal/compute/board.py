"""The GPU board: each device, who holds it and how busy it is, and who is next in line."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from portal.accounts.access import leads, roles
from portal.accounts.models import User
from portal.compute import line, owners, queue
from portal.compute.admission import never_fits
from portal.compute.models import GIB, Allocation, GpuDevice, GpuHold, Node
from portal.compute.placement import Need, empty_rooms
from portal.lib.words import plain
from portal.quotas.models import gpu_words

QUEUE_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Holder:
    """As far as the viewer may know: the person and what it is within their teams, elsewhere the team alone.

    `allocation` is named to those who look after it.
    """

    who: str
    what: str = ""
    url: str = ""
    mine: bool = False
    allocation: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """`percent` is None where nobody measures it; `last_used` is of one that is free."""

    name: str
    state: str
    percent: int | None
    holder: Holder | None
    since: datetime | None
    last_used: datetime | None
    product: str
    simulated: bool


@dataclass(slots=True)
class NodeCard:
    id: str
    name: str
    text: str
    trouble: str
    cordoned: bool
    drain_at: datetime | None = None
    devices: list[DeviceCard] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Waiting:
    number: int
    holder: Holder
    needs: str
    message: str
    since: datetime
    never: bool


class View:
    """What one person sees. Names are looked up together, however many there are."""

    def __init__(self, viewer: User, allocations: Iterable[Allocation]) -> None:
        self._viewer = viewer
        self._teams = set(roles(viewer))
        self._led = set(leads(viewer).values_list("pk", flat=True))
        self._subjects = owners.subjects(allocations)

    def ends_at(self, allocation: Allocation) -> datetime | None:
        """By its own rules."""
        subject = self._subjects.get(allocation.owner_id)
        return subject.ends_at if subject else None

    def holder(self, allocation: Allocation) -> Holder:
        mine = allocation.team_id in self._teams
        if not mine and not self._viewer.is_staff:
            return Holder(f"Team {allocation.team.name}")
        who, subject = allocation.user.get_full_name(), self._subjects.get(allocation.owner_id)
        if subject is None:
            return Holder(who, mine=mine)
        leads = allocation.team_id in self._led
        url = subject.url if leads or allocation.user_id == self._viewer.pk else ""
        return Holder(who, subject.name, url, mine, allocation.pk if leads or self._viewer.is_staff else "")


def nodes(viewer: User) -> list[NodeCard]:
    """Those with GPUs."""
    return cards(viewer, Node.objects.filter(devices__isnull=False).distinct())


def cards(viewer: User, rows: QuerySet[Node]) -> list[NodeCard]:
    """A fixed number of queries."""
    holds = GpuHold.objects.filter(until=None).select_related("allocation__user", "allocation__team")
    latest = GpuHold.objects.filter(device=OuterRef("pk")).order_by("-until").exclude(until=None)
    devices = GpuDevice.objects.order_by("gpu_class", "number").annotate(last_used=Subquery(latest.values("until")[:1]))
    found = list(rows.prefetch_related(Prefetch("devices", devices), Prefetch("devices__holds", holds, to_attr="held")))
    held = [hold.allocation for node in found for device in node.devices.all() for hold in device.held]  # type: ignore[attr-defined]
    view = View(viewer, held)
    return [_node_card(node, view) for node in found]


def _node_card(node: Node, view: View) -> NodeCard:
    devices = list(node.devices.all())
    numbers = Counter(device.gpu_class_id for device in devices if device.gpu_class_id)
    gpus = [gpu_words(slug, number) for slug, number in numbers.items()]
    text = " · ".join([*gpus, f"{plain(node.cpu)} cores", f"{node.memory / GIB:.0f} GB"])
    trouble = "does not answer" if node.unreachable_since else ""
    card = NodeCard(node.pk, node.name, text, trouble, node.cordoned_at is not None, node.drain_at)
    card.devices = [_device_card(device, view) for device in devices]
    return card


def _device_card(device: GpuDevice, view: View) -> DeviceCard:
    [hold] = device.held or [None]  # type: ignore[attr-defined]
    state = "missing" if device.missing_since else "held" if hold else "free" if device.gpu_class_id else "unknown"
    return DeviceCard(
        name=str(device),
        state=state,
        percent=None if device.utilisation is None else round(device.utilisation * 100),
        holder=view.holder(hold.allocation) if hold else None,
        since=hold.since if hold else None,
        last_used=device.last_used,  # type: ignore[attr-defined]
        product=device.product,
        simulated=device.simulated,
    )


def summary(cards: list[NodeCard]) -> str:
    """`2 A100 on 1 node: 1 in use, 1 free.`"""
    devices = [device for card in cards for device in card.devices if device.state in ("held", "free")]
    if not devices:
        return "No node has a GPU that is offered."
    classes = Counter(device.name.rpartition(" #")[0] for device in devices)
    names = " and ".join(f"{number} {name}" for name, number in classes.items())
    states = Counter(device.state for device in devices)
    where = "1 node" if len(cards) == 1 else f"{len(cards)} nodes"
    return f"{names} on {where}: {states['held']} in use, {states['free']} free."


def waiting(viewer: User) -> list[Waiting]:
    """The first in line, whatever they need, with what each waits for."""
    rows = line.in_order(line.waiting().select_related("user", "team"), line.first(line.waiting(), QUEUE_SHOWN))
    view, places, empty = View(viewer, rows), queue.explain(rows), empty_rooms()
    return [
        _waiting(row, places[row.pk].position, view, never_fits(Need.of(row), empty))
        for row in rows
        if row.pk in places
    ]


def _waiting(row: Allocation, number: int, view: View, never: str) -> Waiting:
    needs = gpu_words(row.gpu_class_id, row.gpu_count) or f"{plain(row.cpu)} cpu, {row.memory / GIB:g} GB"
    message = f"Never: {never}. Change its size." if never else row.message
    return Waiting(number, view.holder(row), needs, message, row.created_at, bool(never))

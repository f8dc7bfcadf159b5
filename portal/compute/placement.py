"""Room on nodes: what something needs, what each node has left, and where it fits best."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Subquery, Sum

from portal.compute.models import GIB, Allocation, GpuDevice, GpuHold, Node, Size
from portal.compute.states import PLACED
from portal.lib.words import plain
from portal.quotas.models import gpu_words


@dataclass(frozen=True, slots=True)
class Need:
    """Cores, bytes, and GPUs of one class; without a class, no GPU."""

    cpu: Decimal
    memory: int
    gpu_class: str | None = None
    gpu_count: int = 0

    @classmethod
    def of(cls, what: Allocation | Size) -> "Need":
        return cls(what.cpu, what.memory, what.gpu_class_id, what.gpu_count)

    @property
    def columns(self) -> dict[str, Any]:
        """What rows of an Allocation that need just this have in common."""
        gpus = {"gpu_class_id": self.gpu_class, "gpu_count": self.gpu_count}
        return {"cpu": self.cpu, "memory": self.memory, **gpus}

    def __str__(self) -> str:
        rest = f"{plain(self.cpu)} {'core' if self.cpu == 1 else 'cores'} and {self.memory / GIB:g} GB"
        return f"{gpu_words(self.gpu_class, self.gpu_count)}, {rest}" if self.gpu_class else rest


@dataclass(slots=True)
class Room:
    """What a node still has: cores, bytes, and the free devices of each class. `gpus` counts all it has, held or not.

    What is promised to somebody who waits is no longer there for others, so each of these may be below zero.
    """

    node: Node
    cpu: Decimal
    memory: int
    devices: dict[str, list[GpuDevice]] = field(default_factory=dict)
    promised: Counter[str] = field(default_factory=Counter)
    gpus: int = 0

    def copy(self) -> "Room":
        """What is taken of one is still in the other."""
        devices = {slug: list(some) for slug, some in self.devices.items()}
        return replace(self, devices=devices, promised=self.promised.copy())

    def free(self, gpu_class: str) -> int:
        return len(self.devices.get(gpu_class, ())) - self.promised[gpu_class]

    def fits(self, need: Need) -> bool:
        """One container never has more cores than there are, however many are handed out."""
        gpus = need.gpu_class is None or need.gpu_count <= self.free(need.gpu_class)
        return gpus and need.cpu <= min(self.cpu, self.node.cpu) and need.memory <= self.memory

    def take(self, need: Need) -> list[GpuDevice]:
        """The devices it gets, those with the lowest numbers."""
        self.cpu -= need.cpu
        self.memory -= need.memory
        if need.gpu_class is None:
            return []
        free = self.devices[need.gpu_class]
        taken, self.devices[need.gpu_class] = free[: need.gpu_count], free[need.gpu_count :]
        return taken

    def give(self, need: Need, devices: Iterable[GpuDevice]) -> None:
        """Back what was taken."""
        self.cpu += need.cpu
        self.memory += need.memory
        if need.gpu_class:
            self.devices.setdefault(need.gpu_class, []).extend(devices)

    def promise(self, need: Need) -> None:
        """Nobody else gets it, though it is not all free yet."""
        self.cpu -= need.cpu
        self.memory -= need.memory
        if need.gpu_class:
            self.promised[need.gpu_class] += need.gpu_count


def rooms(*, devices: bool = True) -> list[Room]:
    """Free capacity of every node that answers and is not closed; a query, and one for its devices where wanted."""
    held = Allocation.objects.filter(node=OuterRef("pk"), phase__in=PLACED).order_by().values("node")
    nodes = Node.objects.filter(unreachable_since=None, cordoned_at=None).annotate(
        cpu_held=Subquery(held.values_list(Sum("cpu"))),
        memory_held=Subquery(held.values_list(Sum("memory"))),
        gpus=Count("devices"),
    )
    found = {
        node.pk: Room(
            node,
            node.schedulable_cpu - (node.cpu_held or 0),
            node.schedulable_memory - int(node.memory_held or 0),
            gpus=node.gpus,
        )
        for node in nodes
    }
    if devices:
        _add_free_devices(found)
    return list(found.values())


def _add_free_devices(found: dict[str, Room]) -> None:
    held = GpuHold.objects.filter(device=OuterRef("pk"), until=None)
    _add_devices(found, GpuDevice.offered().exclude(Exists(held)))


def empty_rooms() -> list[Room]:
    """Every node as if nothing ran on it, also those that do not answer now; two queries."""
    found = {node.pk: Room(node, node.schedulable_cpu, node.schedulable_memory) for node in Node.objects.all()}
    _add_devices(found, GpuDevice.offered())
    return list(found.values())


def _add_devices(found: dict[str, Room], devices: Iterable[GpuDevice]) -> None:
    for device in devices:
        if device.gpu_class_id and (room := found.get(device.node_id)):
            room.devices.setdefault(device.gpu_class_id, []).append(device)


def best(free: Iterable[Room], need: Need) -> Room | None:
    """Where it fits and leaves the fewest GPUs unused: whole sets stay together, and work without one keeps away."""
    fitting = [room for room in free if room.fits(need)]
    return min(fitting, key=lambda room: room.free(need.gpu_class) if need.gpu_class else room.gpus, default=None)


def promise(free: Iterable[Room], need: Need, empty: Iterable[Room]) -> None:
    """Hold room for it on the node that has most of it free already, of those that could take it one day."""
    could = {room.node.pk for room in empty if room.fits(need)}
    candidates = [room for room in free if room.node.pk in could]
    if candidates:
        max(candidates, key=lambda room: (room.free(need.gpu_class or ""), room.memory)).promise(need)

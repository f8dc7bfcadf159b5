"""Keeps the GPUs of a node true: what its engine reports, and what the settings declare besides."""

from collections.abc import Iterable, Mapping

from portal.compute.models import GIB, GpuDevice, Node
from portal.lib import clock
from portal.quotas.models import GpuClass
from runtimes.base import SIMULATED, Gpu

BUSY = 0.05
"""From this share of its time on a device counts as working."""


def note(node: Node, found: Iterable[Gpu]) -> bool:
    """Its devices as they are now; one that is no longer there is missing until it is back. True when any came or went.

    The row of one that went is kept: somebody may hold it.
    """
    classes = list(GpuClass.objects.filter(retired=False))
    known = {row.uuid: row for row in node.devices.all()}
    before = {uuid for uuid, row in known.items() if row.missing_since is None and row.gpu_class_id}
    for gpu in found:
        row = known.pop(gpu.uuid, None) or GpuDevice(node=node, uuid=gpu.uuid)
        _note(row, gpu, classes)
    for row in known.values():
        if row.missing_since is None:
            row.missing_since, row.utilisation = clock.now(), None
            row.save(update_fields=["missing_since", "utilisation"])
    return before != set(node.devices.filter(pk__in=GpuDevice.offered()).values_list("uuid", flat=True))


def _note(row: GpuDevice, gpu: Gpu, classes: list[GpuClass]) -> None:
    now = {
        "number": gpu.number,
        "product": gpu.product,
        "memory": gpu.memory,
        "gpu_class": _class_of(gpu, classes),
        "simulated": gpu.simulated,
        "missing_since": None,
        "utilisation": gpu.utilisation,
        "busy_at": clock.now() if (gpu.utilisation or 0) >= BUSY else row.busy_at,
    }
    if row._state.adding or any(getattr(row, name) != value for name, value in now.items()):
        for name, value in now.items():
            setattr(row, name, value)
        row.save()


def _class_of(gpu: Gpu, classes: list[GpuClass]) -> GpuClass | None:
    if gpu.simulated:
        return next((one for one in classes if one.slug == gpu.product), None)
    return next((one for one in classes if any(part in gpu.product for part in one.products)), None)


def declared(numbers: Mapping[str, int]) -> list[Gpu]:
    """Simulated devices, so many of each class: containers are told of them, and nothing is there."""
    memory = {one.slug: int(one.memory_gib * GIB) for one in GpuClass.objects.filter(slug__in=numbers)}
    return [
        Gpu(f"{SIMULATED}{slug}-{number}", slug, number, memory.get(slug, 0))
        for slug, count in numbers.items()
        for number in range(count)
    ]

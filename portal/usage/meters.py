"""What usage counts: the meters, and the SKUs that have a price."""

from dataclasses import dataclass

from portal.quotas.models import gpu_words

GPU, STORAGE = "gpu", "storage"
"""What holds GPUs has GPU beside cores and memory, priced by their class. STORAGE is of what volumes keep."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What people call it, one of it, and its hours; `unit` is the same for programs."""

    label: str
    one: str
    hours: str
    unit: str


METERS = {
    "cpu": Meter("CPU", "One core", "core hours", "Core"),
    "memory": Meter("Memory", "One GB of memory", "GB hours", "GiB"),
    GPU: Meter("GPU", "One GPU", "GPU hours", "GPU"),
    STORAGE: Meter("Storage", "One GB of files", "GB hours", "GiB"),
}


def gpu_sku(gpu_class: str) -> str:
    return f"gpu-{gpu_class}"


def sku_of(meter: str, gpu_class: str) -> str:
    return gpu_sku(gpu_class) if meter == GPU else meter


def meter_of(sku: str) -> str:
    return sku if sku in METERS else GPU


def sku_words(sku: str) -> str:
    """What people call one of it."""
    return METERS[sku].one if sku in METERS else f"One {gpu_words(sku.removeprefix(gpu_sku('')))}"

"""What is made of the answers of NVIDIA's library. It is replaced here: these tests have no device."""

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from runtimes import nvidia
from runtimes.base import Gpu

GIB = 1024**3


def answers(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """A machine with two devices, of which the second is divided."""
    known = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        "nvmlDeviceGetName": lambda handle: b"NVIDIA H200",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=141 * GIB),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37) if handle == 0 else unsupported(),
    }
    for name, function in (known | functions).items():
        monkeypatch.setattr(pynvml, name, function)


def unsupported() -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def lost(number: int) -> int:
    if number == 0:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    return number


def test_devices_have_uuid_product_memory_and_utilisation(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch)
    assert nvidia.devices() == (
        Gpu("GPU-0", "NVIDIA H200", 0, 141 * GIB, 0.37),
        Gpu("GPU-1", "NVIDIA H200", 1, 141 * GIB, None),
    )


def test_a_device_that_fell_off_the_bus_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, nvmlDeviceGetHandleByIndex=lost)
    assert [gpu.uuid for gpu in nvidia.devices()] == ["GPU-1"]


def test_a_driver_that_does_not_answer_gives_none_and_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    assert isinstance(nvidia.devices(), tuple)  # whatever this machine has
    answers(monkeypatch, nvmlInit=broken)
    assert nvidia.devices() == ()

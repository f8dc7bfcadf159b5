"""What NVIDIA's driver says of the devices of this machine, through its own library (NVML)."""

import logging
from contextlib import suppress

import pynvml

from runtimes.base import Gpu

logger = logging.getLogger(__name__)

_NO_DRIVER = (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded)


def devices() -> tuple[Gpu, ...]:
    """Those that answer now; none where there is no driver. A device that fails is left out, so that it is missed."""
    try:
        pynvml.nvmlInit()
    except _NO_DRIVER:
        return ()
    except pynvml.NVMLError as error:
        logger.warning("NVIDIA's driver does not answer: %s", error)
        return ()
    try:
        return tuple(gpu for number in range(pynvml.nvmlDeviceGetCount()) if (gpu := _device(number)))
    except pynvml.NVMLError as error:
        logger.warning("NVIDIA's driver does not count its devices: %s", error)
        return ()
    finally:
        pynvml.nvmlShutdown()


def _device(number: int) -> Gpu | None:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        return Gpu(
            uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
            product=_text(pynvml.nvmlDeviceGetName(handle)),
            number=number,
            memory=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            utilisation=_utilisation(handle),
        )
    except pynvml.NVMLError as error:
        logger.warning("GPU %s does not answer: %s", number, error)
        return None


def _utilisation(handle: object) -> float | None:
    with suppress(pynvml.NVMLError_NotSupported):  # of a device that is divided (MIG)
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    return None


def _text(found: str | bytes) -> str:
    """Older versions of the library answer bytes."""
    return found.decode() if isinstance(found, bytes) else found

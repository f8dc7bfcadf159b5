"""What the tests of `deploy` share: a data folder of their own, and patience without fixed sleeps."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from runtimes import isolation
from runtimes.base import EngineRefused


def processes_of(data: Path) -> list[int]:
    """The processes whose command names this data folder."""
    return [pid for pid in _pids() if str(data) in _command(pid)]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def data_folder() -> Iterator[Path]:
    """A short path that PostgreSQL's own account may pass through, also when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="berth-test-"))
    directory.chmod(0o711)
    yield directory
    instance = directory / "instance"
    if instance.exists():  # its agent may have set rules for the packet filter
        with suppress(EngineRefused):
            isolation.remove(instance.read_text().strip())
    shutil.rmtree(directory)


@pytest.fixture
def data() -> Iterator[Path]:
    with data_folder() as directory:
        yield directory


def compose() -> list[str]:
    """Docker's plugin, or Debian's docker-compose."""
    plugin = ["docker", "compose"]
    if subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0:
        return plugin
    assert shutil.which("docker-compose"), "neither `docker compose` nor docker-compose is installed"
    return ["docker-compose"]


class Eventually(Protocol):
    def __call__(self, condition: Callable[[], object], seconds: float = 240) -> None: ...


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds; the limit only ends a test that would hang."""

    def wait(condition: Callable[[], object], seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "this never came true"
            time.sleep(0.05)

    return wait

"""What the tests of `deploy` share: a data folder of their own, and patience without fixed sleeps."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Eventually = Callable[[Callable[[], object]], None]


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


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path that PostgreSQL's own account may pass through, also when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="berth-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds; the limit only ends a test that would hang."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "this never came true"
            time.sleep(0.05)

    return wait

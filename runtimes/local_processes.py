"""The processes of one local container: found again by pid and birth, signalled, frozen and thawed."""

import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from runtimes.base import EngineUnreachable

_LIMIT = 30.0


def saved(path: Path) -> dict[str, Any]:
    """What a JSON file says; {} when there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return content


def process_of(folder: Path, which: str = "process") -> Any:
    """The `process` or its `shim` while it lives; None when it has ended and the pid is another's."""
    pid, born = saved(folder / "process.json").get(which, (0, 0.0))
    try:
        process = psutil.Process(int(pid))
        alive = pid and process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def send(folder: Path, number: signal.Signals) -> None:
    process = process_of(folder)
    if process is not None:
        _send(process, number)


def is_frozen(folder: Path) -> bool:
    process = process_of(folder)
    with suppress(psutil.NoSuchProcess):
        return process is not None and process.status() == psutil.STATUS_STOPPED
    return False


def freeze(folder: Path) -> None:
    """The process last, because it is what tells: a call that was cut short is seen as not done."""
    for one in _descendants(folder):
        _send(one, signal.SIGSTOP)
    send(folder, signal.SIGSTOP)
    _await(folder, frozen=True)


def thaw(folder: Path) -> None:
    """The process last here too. A shell must find its command running when it looks, so children go first."""
    if is_frozen(folder):
        for one in reversed(_descendants(folder)):
            _send(one, signal.SIGCONT)
        send(folder, signal.SIGCONT)
        _await(folder, frozen=False)


def _descendants(folder: Path) -> list[Any]:
    """All that it has started, orphans too, parents before their children."""
    shim, process = process_of(folder, "shim"), process_of(folder)
    return [one for one in shim.children(recursive=True) if one != process] if shim else []


def _send(process: Any, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _await(folder: Path, *, frozen: bool) -> None:
    """A signal is on its way for a moment."""
    until = time.monotonic() + _LIMIT
    while process_of(folder) and is_frozen(folder) != frozen:
        if time.monotonic() > until:
            raise EngineUnreachable(f"The processes of {folder.name} take no signals.")
        time.sleep(0.005)

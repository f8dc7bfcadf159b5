"""Starts a program for as long as it is measured, and finds ports for it."""

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.screen import Stopped, last_lines

START_SECONDS = 60
END_SECONDS = 20
PORTS = range(20000, 28000)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row on which nothing listens, by chance: others may look at the same time."""
    begin = secrets.randbelow(len(PORTS) // 2)
    return next(first for first in PORTS[begin::count] if _all_free(range(first, first + count)))


def _all_free(ports: range) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                probe = held.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
        except OSError:
            return False
    return True


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Gone afterwards; the end of a log in it that says why something stopped goes into the message."""
    with tempfile.TemporaryDirectory(prefix="berth-benchmark-") as name:
        Path(name).chmod(0o711)
        try:
            yield Path(name)
        except Stopped as stopped:
            lines = last_lines(stopped.log) if stopped.log else []
            raise Stopped("\n".join([*lines, str(stopped)])) from None


def memory(pid: int, what: str = "VmRSS") -> int:
    """MiB that a process has now; or, with VmHWM, the most it ever had."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{what}:")) // 1024


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run it until the end of the block; begins once something listens on `port`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, port, log)
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Stopped(f"{log.stem} did not start.", log)
        time.sleep(0.05)

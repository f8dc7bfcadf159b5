"""Keeps a container from writing faster than its log is read: an engine drops what it has no room for, read or not.

Who is attached to a container hears what it writes, and the container waits for who does not listen. So this is
attached, and listens no faster than the log is read, as a terminal does.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Protocol, Self

from runtimes.base import RuntimeFailure
from runtimes.docker_engine import Engine

AHEAD = 2 * 1024**2
"""So many bytes may lie in the engine's files unread; it keeps 30 MB. What the engine itself holds comes to it."""
ROW = 100
"""What a line takes there beside its text."""
PIECE = 32 * 1024
HELD = 0.5
"""Seconds after which a piece is let through in any case: nothing hangs, whoever does not read, and what a program
wrote last comes through in the two seconds that an engine waits for it."""
AGAIN = 5.0
_POLL = 0.01


class Output(Protocol):
    """What a container writes from now on."""

    def read(self, count: int) -> bytes:
        """At most so many bytes, waiting for the first; none at the end."""

    def close(self) -> None:
        """May come from another thread, whose `read` then ends."""


class Pace:
    """For the time of a block. Rows that were written before it listened do not count."""

    def __init__(self, attach: Callable[[], Output]) -> None:
        self._attach = attach
        self._output: Output | None = None
        self._over = threading.Event()
        self._since: int | None = None
        self._rows = self._read = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True, name="pace").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._output is not None:
            self._output.close()

    def took(self, moment: int | None, size: int) -> None:
        """A row of the log was read: when it was written, in nanoseconds, if that is known, and its bytes. Always told
        by the same thread.
        """
        self._rows += 1
        if self._since is not None and (moment is None or moment >= self._since):
            self._read += ROW + size

    def _run(self) -> None:
        while not self._over.is_set():
            with suppress(RuntimeFailure):  # it is frozen, or the engine is away
                self._output = self._attach()
                with closing(self._output):
                    self._listen(self._output)
            self._over.wait(AGAIN)

    def _listen(self, output: Output) -> None:
        self._since, heard = time.time_ns(), self._read
        while not self._over.is_set() and (piece := output.read(PIECE)):
            heard = self._held(max(heard, self._read) + len(piece) + ROW * piece.count(b"\n"))

    def _held(self, heard: int) -> int:
        """Wait until enough of it was read. Where no row came meanwhile, there is none: all that was heard was read."""
        until, rows = time.monotonic() + HELD, self._rows
        while heard - self._read > AHEAD and not self._over.is_set():
            if time.monotonic() >= until:
                return heard if self._rows > rows else self._read
            self._over.wait(_POLL)
        return heard


class Attached:
    """The engine's hijacked connection to the outputs of a container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._response = engine.ask(lambda api: _attach(api, name))
        self._reader = self._response.raw._fp.fp
        self._socket: socket.socket = self._reader.raw._sock
        self._socket.settimeout(None)

    def read(self, count: int) -> bytes:
        try:
            return bytes(self._reader.read1(count))
        except (OSError, ValueError):  # closed by another thread
            return b""

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


def _attach(api: Any, name: str) -> Any:
    """The SDK's own call gives the bare socket, and loses what was read ahead of it."""
    url, headers = api._url("/containers/{0}/attach", name), {"Connection": "Upgrade", "Upgrade": "tcp"}
    response = api._post(url, params={"stream": 1, "stdout": 1, "stderr": 1}, headers=headers, stream=True)
    api._raise_for_status(response)
    return response

"""Keeps a container from writing faster than its log is read: an engine drops what it has no room for, read or not.

Who is attached to a container hears what it writes, and the container waits for who does not listen. So this is
attached and listens no faster than the log is read, as a terminal does. Some two megabytes lie in the engine between
the log, which has them already, and who listens.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Protocol, Self

from runtimes.base import RuntimeFailure
from runtimes.docker_engine import Engine

AHEAD = 256 * 1024
"""So much may have been heard that nobody has read yet, as it lies in the engine's files."""
UNHEARD = 2560 * 1024
"""What a container has written and an engine keeps for who is attached, at most; the log has it already."""
ROW = 100
"""What a line takes there beside its text."""
PIECE = 64 * 1024
HELD = 0.5
"""Seconds after which a piece is let through in any case: nothing hangs, whoever does not read, and what a program
wrote last comes through in the two seconds that an engine waits for it."""
SILENT = 20
"""So often in a row a piece may be held that long without a row of the log, until whoever sends it is given up. A third
of it where the rows had begun to come."""
AGAIN = 5.0
_POLL = 0.01


class Output(Protocol):
    """What a container writes from now on."""

    def read(self) -> bytes:
        """The next of it, waiting for it; nothing at the end."""

    def close(self) -> None:
        """May come from another thread, whose `read` then ends."""


class Pace:
    """For the time of a block, in which one other thread reads the log and tells what it has read.

    It `listens` unless the engine refuses. While it `holds`, no more is let through than has to be. `waits` says that
    the reader waits for the engine, and `give_up` ends that where a lot was written meanwhile and nothing came.
    """

    def __init__(self, attach: Callable[[], Output]) -> None:
        self._attach = attach
        self._output: Output | None = None
        self._over = threading.Event()
        self._since: int | None = None
        self._rows = self._read = self._heard = self._silent = self._unheard = 0
        self.holds = self.waits = self.listens = False
        self.give_up: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True, name="pace").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._output is not None:
            self._output.close()

    def took(self, moment: int | None, size: int) -> None:
        """A row of the log came: when it was written, in nanoseconds, if that is known, and its bytes.

        What was written before this listened does not count, but shows that the engine sends something.
        """
        self._rows += 1
        if self._since is not None and (moment is None or moment >= self._since):
            self._read += ROW + size

    def _run(self) -> None:
        while not self._over.is_set():
            with suppress(RuntimeFailure):  # it is frozen, or the engine is away
                self._output = self._attach()
                with closing(self._output):
                    self.listens = True
                    self._listen(self._output)
            self.listens = False
            self._over.wait(AGAIN)

    def _listen(self, output: Output) -> None:
        self._since, self._heard, passed, rows = time.time_ns(), self._read, 0, 0
        while not self._over.is_set() and (piece := output.read()):
            passed, rows = passed + len(piece), rows + piece.count(b"\n")
            if passed >= PIECE:
                weight = passed + ROW * rows
                self._unheard = UNHEARD * weight // passed
                self._heard = max(self._heard + weight, self._read - self._unheard)
                self._let_read()
                passed = rows = 0

    def _let_read(self) -> None:
        """Wait until most of it was read."""
        until, rows = time.monotonic() + HELD, self._rows
        while self.holds or self._heard - self._read > AHEAD:
            if self._over.wait(_POLL):
                return
            if time.monotonic() >= until:
                self._look_after(came=self._rows > rows)
                return

    def _look_after(self, *, came: bool) -> None:
        """Who waits and gets no row has read all there is; but who never gets one was forgotten by the engine."""
        if came or not self.waits:
            self._silent = 0
            return
        self._silent += 1
        if not self.holds:
            self._heard = self._read - self._unheard
        if self._silent >= (SILENT if self.holds else SILENT // 3):
            self._silent = 0
            self.give_up()


class Attached:
    """The engine's hijacked connection to the outputs of a container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._response = engine.ask(lambda api: _attach(api, name))
        self._reader = self._response.raw._fp.fp
        self._socket: socket.socket = self._reader.raw._sock
        self._socket.settimeout(None)

    def read(self) -> bytes:
        try:
            header = self._reader.read(8)
            return bytes(self._reader.read(int.from_bytes(header[4:], "big"))) if len(header) == 8 else b""
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

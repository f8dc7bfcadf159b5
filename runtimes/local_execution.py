"""Programs run beside a "container" of the local driver: a process with pipes, or with a terminal of its own."""

import fcntl
import os
import selectors
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping
from contextlib import suppress

from runtimes.base import Command

_PIECE = 64 * 1024


class LocalExecution:
    """See Execution."""

    def __init__(self, command: Command, environment: Mapping[str, str], folder: str) -> None:
        self._terminal: int | None = None
        inner: int | None = None
        if command.terminal:
            self._terminal, inner = os.openpty()
            self.resize(*command.terminal)
        self._process = subprocess.Popen(
            command.arguments,
            env={**environment, **command.environment},
            cwd=folder,
            stdin=subprocess.PIPE if inner is None else inner,
            stdout=subprocess.PIPE if inner is None else inner,
            stderr=subprocess.PIPE if inner is None else inner,
            start_new_session=True,
        )
        if inner is not None:
            os.close(inner)
        self._streams = selectors.DefaultSelector()
        for stream, name in ((self._process.stdout, "stdout"), (self._process.stderr, "stderr")):
            if stream is not None:
                self._streams.register(stream, selectors.EVENT_READ, name)

    def read(self) -> tuple[str, bytes] | None:
        if self._terminal is not None:
            return self._read_terminal(self._terminal)
        while self._streams.get_map():
            for key, _ in self._streams.select():
                data = os.read(key.fd, _PIECE)
                if data:
                    return str(key.data), data
                self._streams.unregister(key.fileobj)
        return None

    def _read_terminal(self, terminal: int) -> tuple[str, bytes] | None:
        try:
            data = os.read(terminal, _PIECE)
        except OSError:  # the other end is closed
            return None
        return ("stdout", data) if data else None

    def write(self, data: bytes) -> None:
        with suppress(OSError, ValueError):
            if self._terminal is not None:
                while data:
                    data = data[os.write(self._terminal, data) :]
            elif self._process.stdin:
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def end_input(self) -> None:
        if self._terminal is not None:
            self.write(b"\x04")
        elif self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        if self._terminal is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def exit_code(self) -> int:
        code = self._process.wait()
        return 128 - code if code < 0 else code

    def close(self) -> None:
        self.end_input()
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGHUP)

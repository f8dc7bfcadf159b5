"""Programs run beside a container's own: the engine's `exec`, read and written over its hijacked connection."""

import socket
import threading
from contextlib import suppress
from typing import Any

from runtimes.base import Command, EngineRefused
from runtimes.docker_engine import Absent, Conflict, Engine
from runtimes.hardening import USER

_PIECE = 64 * 1024
_HANG_UP = (
    "for p in /proc/[0-9]*; do "
    "if tr '\\0' '\\n' 2>/dev/null <$p/environ | grep -qx BERTH_EXECUTION=$0; then kill -HUP ${p#/proc/}; fi; "
    "done 2>/dev/null"
)
"""The engine leaves a program alone when nobody listens to it any more; a terminal that goes away ends it."""


class DockerExecution:
    """See Execution. `mark` is in the environment of everything that the program starts."""

    def __init__(self, engine: Engine, name: str, command: Command, mark: str) -> None:
        self._engine, self._name, self._mark = engine, name, mark
        self._terminal = command.terminal is not None
        self._id = engine.ask(lambda api: _create(api, name, command, mark))
        self._response = engine.ask(lambda api: _start(api, self._id, self._terminal))
        # The first output may have come together with the head of the answer: reading goes on in the same buffer.
        self._reader = self._response.raw._fp.fp
        self._socket: socket.socket = self._reader.raw._sock
        self._socket.settimeout(None)
        if command.terminal:
            self.resize(*command.terminal)

    def read(self) -> tuple[str, bytes] | None:
        try:
            if self._terminal:
                data = self._reader.read1(_PIECE)
                return ("stdout", data) if data else None
            header = self._reader.read(8)
            if len(header) < 8:
                return None
            stream = "stderr" if header[0] == 2 else "stdout"
            return stream, self._reader.read(int.from_bytes(header[4:], "big"))
        except (OSError, ValueError):  # closed by another thread
            return None

    def write(self, data: bytes) -> None:
        with suppress(OSError):
            self._socket.sendall(data)

    def end_input(self) -> None:
        with suppress(OSError):
            if self._terminal:
                self._socket.sendall(b"\x04")
            else:
                self._socket.shutdown(socket.SHUT_WR)

    def resize(self, columns: int, rows: int) -> None:
        with suppress(EngineRefused):  # it has ended, which Docker does not tell from its own errors
            self._engine.ask(lambda api: api.exec_resize(self._id, height=rows, width=columns))

    def exit_code(self) -> int:
        for _ in range(50):
            found = self._engine.ask(lambda api: api.exec_inspect(self._id), reading=True)
            if not found["Running"]:
                return int(found["ExitCode"] or 0)
            threading.Event().wait(0.02)
        return 255

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()
        if self._terminal:
            with suppress(Absent, Conflict):
                self._hang_up()

    def _hang_up(self) -> None:
        if self._engine.ask(lambda api: api.exec_inspect(self._id), reading=True)["Running"]:
            again = Command(("/bin/sh", "-c", _HANG_UP, self._mark))
            other = self._engine.ask(lambda api: _create(api, self._name, again, ""))
            self._engine.ask(lambda api: api.exec_start(other, detach=True))


def _create(api: Any, name: str, command: Command, mark: str) -> str:
    environment = {**command.environment, **({"BERTH_EXECUTION": mark} if mark else {})}
    made = api.exec_create(
        name,
        list(command.arguments),
        stdin=True,
        tty=command.terminal is not None,
        user=USER,
        environment=environment,
    )
    return str(made["Id"])


def _start(api: Any, identifier: str, terminal: bool) -> Any:
    """The SDK's own call gives the bare socket, and loses what was read ahead of it."""
    url = api._url("/exec/{0}/start", identifier)
    headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
    response = api._post_json(url, headers=headers, data={"Tty": terminal, "Detach": False}, stream=True)
    api._raise_for_status(response)
    return response

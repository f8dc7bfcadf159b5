"""One channel of a connection: its bytes to a program in the workspace and back, at the pace of the slower side."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncssh

from portal.gateway.ssh.execution import Program, Refused, Running, begin
from portal.lib.frames import Kind

SFTP = "/usr/lib/openssh/sftp-server"
CONNECT = "/opt/berth/connect"
WAITING_PIECES = 64
"""Pieces of input that wait before the client is asked to pause."""

MakeProgram = Callable[..., Program]


class Pipe:
    """What a session and a forwarded connection share. `refusal` is why it cannot be, if so."""

    def __init__(self, make: MakeProgram | None, refusal: str = "") -> None:
        self._make, self._refusal = make, refusal
        self._chan: Any = None
        self._input: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._input.put_nowait(("data", data))
        if self._input.qsize() >= WAITING_PIECES:
            self._chan.pause_reading()

    def eof_received(self) -> bool:
        self._input.put_nowait(("end", None))
        return True

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def carry(self, **asked: Any) -> None:
        """Begin the program and carry its bytes until it ends or the client is gone."""
        self._task = asyncio.get_running_loop().create_task(self._carry(asked))

    async def _carry(self, asked: dict[str, Any]) -> None:
        try:
            if self._make is None:
                raise Refused(self._refusal)
            running = await begin(self._make(**asked))
            giving = asyncio.create_task(self._give(running))
            try:
                self._ended(await self._take(running))
            finally:
                giving.cancel()
                running.close()
        except Refused as refusal:
            self._refused(str(refusal))

    async def _give(self, running: Running) -> None:
        while True:
            what, value = await self._input.get()
            if what == "data":
                await running.write(value)
            elif what == "end":
                await running.end_input()
            else:
                await running.resize(*value)
            if self._input.qsize() == WAITING_PIECES // 2:
                self._chan.resume_reading()

    async def _take(self, running: Running) -> int:
        while (frame := await running.read()) is not None:
            kind, data = frame
            if kind is Kind.EXIT:
                return int(json.loads(data))
            await self._may_write.wait()
            self._tell(data, kind is Kind.ERRORS)
        return 255

    def _tell(self, data: bytes, is_error: bool) -> None:
        self._chan.write(data)

    def _ended(self, code: int) -> None:
        self._chan.close()

    def _refused(self, sentence: str) -> None:
        self._chan.close()


class Session(Pipe, asyncssh.SSHServerSession[bytes]):
    """A shell, a command, or sftp."""

    def __init__(self, make: MakeProgram | None, refusal: str = "") -> None:
        super().__init__(make, refusal)
        self._arguments: tuple[str, ...] = ()
        self._on_terminal = False

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        """Also one without a type, which a client has that knows none of its own."""
        self._on_terminal = True
        return True

    def shell_requested(self) -> bool:
        self._arguments = ("/bin/bash", "-l")
        return True

    def exec_requested(self, command: Any) -> bool:
        self._arguments = ("/bin/bash", "-c", command)
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._arguments = (SFTP,)
        return subsystem == "sftp"

    def session_started(self) -> None:
        terminal, (columns, rows, _, _) = self._chan.get_terminal_type(), self._chan.get_terminal_size()
        self.carry(
            arguments=self._arguments,
            environment={"TERM": terminal} if terminal else {},
            terminal=(columns or 80, rows or 24) if self._on_terminal else None,
        )

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._input.put_nowait(("resize", (width, height)))

    def _tell(self, data: bytes, is_error: bool) -> None:
        (self._chan.write_stderr if is_error else self._chan.write)(data)

    def _ended(self, code: int) -> None:
        self._chan.exit(code)

    def _refused(self, sentence: str) -> None:
        self._chan.write_stderr(f"Berth: {sentence}\r\n".encode())
        self._chan.exit(1)


class Forward(Pipe, asyncssh.SSHTCPSession[bytes]):
    """A connection to a port of the workspace's own loopback."""

    def __init__(self, make: MakeProgram, port: int) -> None:
        super().__init__(make)
        self._port = port

    def session_started(self) -> None:
        self.carry(arguments=(CONNECT, str(self._port)))

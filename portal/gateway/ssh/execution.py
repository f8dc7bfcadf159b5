"""The door's side of a program in a workspace: asks the agent to begin it, and carries its bytes."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from portal.lib import frames
from portal.lib.frames import Kind


class Refused(Exception):
    """The agent, or the engine behind it, said no; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run where, for whom; `terminal` is columns and rows."""

    allocation: str
    user: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    terminal: tuple[int, int] | None = None


class Running:
    """A program the agent was asked for; the first `read` raises Refused when it does not run."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> tuple[Kind, bytes] | None:
        """OUTPUT, ERRORS, or EXIT with the code; None when the agent is gone. Raises Refused."""
        try:
            frame = await frames.read(self._reader)
        except (frames.Broken, OSError):
            return None
        if frame and frame[0] is Kind.REFUSAL:
            raise Refused(frame[1].decode())
        return frame

    async def write(self, data: bytes) -> None:
        for begin in range(0, len(data), frames.LONGEST):
            await self._send(frames.pack(Kind.INPUT, data[begin : begin + frames.LONGEST]))

    async def end_input(self) -> None:
        await self._send(frames.pack(Kind.END_OF_INPUT))

    async def resize(self, columns: int, rows: int) -> None:
        await self._send(frames.pack_value(Kind.RESIZE, [columns, rows]))

    def close(self) -> None:
        self._writer.close()

    async def _send(self, frame: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(frame)
            await self._writer.drain()


async def begin(program: Program) -> Running:
    """Raises Refused when no agent answers."""
    try:
        reader, writer = await asyncio.open_unix_connection(settings.EXECUTE_SOCKET)
    except OSError as error:
        raise Refused("Berth's agent does not answer now. Try again in a few seconds.") from error
    request = {
        "allocation": program.allocation,
        "user": program.user,
        "arguments": list(program.arguments),
        "environment": dict(program.environment),
        "terminal": program.terminal,
    }
    writer.write(frames.pack_value(Kind.REQUEST, request))
    return Running(reader, writer)

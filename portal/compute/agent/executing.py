"""Runs programs in containers for the SSH door, which has no engine: requests and bytes come over a socket."""

import asyncio
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from portal.compute.agent import threads
from portal.compute.execution import begin
from portal.lib import frames
from portal.lib.errors import Problem
from portal.lib.frames import Kind
from runtimes.base import Execution, RuntimeFailure

logger = logging.getLogger(__name__)

MOST = 200
"""Programs at once; each has two threads of its own, so that a silent one keeps none from others."""

_room = threading.BoundedSemaphore(MOST)


async def execute() -> None:
    """Wait for requests until cancelled."""
    socket = Path(settings.EXECUTE_SOCKET)
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(_serve, socket, limit=frames.LONGEST)
    socket.chmod(0o600)
    async with server:
        await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, and its program until it ends or the other side is gone."""
    if not _room.acquire(blocking=False):
        writer.write(frames.pack(Kind.REFUSAL, b"Too many programs run already; try again later."))
        writer.close()
        return
    try:
        await _run(reader, writer)
    except (OSError, frames.Broken) as error:
        logger.info("the SSH door broke off: %s", error)
    finally:
        _room.release()
        with suppress(OSError):
            writer.close()


async def _run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = await frames.read(reader)
    if first is None or first[0] is not Kind.REQUEST:
        raise frames.Broken("it begins with no request")
    try:
        execution = await threads.call(begin, json.loads(first[1]))
    except (Problem, RuntimeFailure) as refusal:
        writer.write(frames.pack(Kind.REFUSAL, str(refusal).encode()))
        await writer.drain()
        return
    pool = ThreadPoolExecutor(2, thread_name_prefix="execution")
    giving = asyncio.create_task(_give(reader, execution, pool))
    taking = asyncio.create_task(_take(writer, execution, pool))
    try:
        await asyncio.wait({giving, taking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        threads.start(execution.close)  # and not awaited: a second cancellation would leave it undone
        giving.cancel()
        taking.cancel()
        pool.shutdown(wait=False)
        await asyncio.gather(giving, taking, return_exceptions=True)


async def _give(reader: asyncio.StreamReader, execution: Execution, pool: ThreadPoolExecutor) -> None:
    """Frames to input, until the other side is gone."""
    loop = asyncio.get_running_loop()
    while (frame := await frames.read(reader)) is not None:
        match frame:
            case Kind.INPUT, data:
                await loop.run_in_executor(pool, execution.write, data)
            case Kind.END_OF_INPUT, _:
                await loop.run_in_executor(pool, execution.end_input)
            case Kind.RESIZE, size:
                columns, rows = json.loads(size)
                await loop.run_in_executor(pool, execution.resize, columns, rows)


async def _take(writer: asyncio.StreamWriter, execution: Execution, pool: ThreadPoolExecutor) -> None:
    """Output to frames, then how it ended."""
    loop = asyncio.get_running_loop()
    while (piece := await loop.run_in_executor(pool, execution.read)) is not None:
        stream, data = piece
        writer.write(frames.pack(Kind.ERRORS if stream == "stderr" else Kind.OUTPUT, data))
        await writer.drain()
    code = await loop.run_in_executor(pool, execution.exit_code)
    writer.write(frames.pack_value(Kind.EXIT, code))
    await writer.drain()

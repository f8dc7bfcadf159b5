"""A network of the browser's own, in which nothing comes or goes; what it may reach of this machine is let in.

Chromium gives up the requests it has not sent yet whenever a network of its machine changes, as those of containers do
all the time on an engine's machine. People's browsers are elsewhere as a rule, and so is this one.
"""

import asyncio
import ctypes
import fcntl
import os
import shlex
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NEW_NETWORK = 0x40000000
SET_FLAGS, UP = 0x8914, 0x1
"""CLONE_NEWNET, SIOCSIFFLAGS and IFF_UP of Linux's headers."""
LIBC = ctypes.CDLL(None, use_errno=True)


class OwnNetwork:
    """Needs root. It lasts as long as this process, and so do its ways in."""

    def __init__(self) -> None:
        self._let_in: set[int] = set()
        self._namespace = _in_a_thread(_made)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def program(self, name: str, folder: Path) -> Path:
        """The program as one that runs in here."""
        path = folder / Path(name).name
        namespace = f"/proc/{os.getpid()}/fd/{self._namespace}"
        path.write_text(f'#!/bin/sh\nexec nsenter --net={namespace} {shlex.quote(name)} "$@"\n')
        path.chmod(0o755)
        return path

    def let_in(self, port: int) -> None:
        """That port of this machine's loopback is the same in here."""
        if port not in self._let_in:
            self._let_in.add(port)
            asyncio.run_coroutine_threadsafe(self._serve(port), self._loop).result()

    async def _serve(self, port: int) -> None:
        def listening() -> socket.socket:
            _enter(LIBC.setns(self._namespace, NEW_NETWORK))
            return socket.create_server(("127.0.0.1", port))

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer), return_exceptions=True)

        await asyncio.start_server(relay, sock=_in_a_thread(listening))


def _in_a_thread(act: Callable[[], T]) -> T:
    """A thread may be in another network than its process."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(act).result()


def _made() -> int:
    """A new network whose loopback is up, as an open file of it."""
    _enter(LIBC.unshare(NEW_NETWORK))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)


def _enter(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), "a network namespace could not be entered")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()

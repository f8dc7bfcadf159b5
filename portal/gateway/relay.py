"""Carries WebSockets between nginx and workspaces, and cuts those whose right to be there has ended.

It reads the head of the request only; what follows is bytes. nginx has authorised the request and names the
upstream and the right it used (access.Passed.key) in two headers, which go no further.
"""

import asyncio
import contextlib
import functools
import logging
import resource
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import close_old_connections

from portal.gateway import access, actions, places

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""From where to where bytes go."""

logger = logging.getLogger(__name__)

HEAD_LIMIT = 64 * 1024
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 5.0
CHUNK = 64 * 1024
CHECK_SECONDS = 5.0
ANSWER_SECONDS = 10.0
TALK_SECONDS = 60.0
PATIENCE_SECONDS = 40.0
"""Without an answer from the database for this long every connection is cut: a right that ended then must not
outlive it by a minute."""


class Unusable(Exception):
    """The request is none that nginx would have passed on."""


@dataclass(frozen=True, slots=True)
class Head:
    """What to send on, where to, and the right that carries it."""

    host: str
    port: int
    key: str
    forwarded: bytes


def parse(head: bytes) -> Head:
    """Take the two headers out. Raises Unusable."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    ours: dict[str, str] = {}
    kept = lines[:1]
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower().startswith("x-berth-") and name.lower() != "x-berth-secret":
            ours[name.lower()] = value.strip()
        else:
            kept.append(line)
    host, _, port = ours.get("x-berth-upstream", "").rpartition(":")
    key = ours.get("x-berth-session", "")
    if not key or not port.isdecimal() or not places.is_container(host):
        raise Unusable(f"upstream {host}:{port}, right {key!r}")
    return Head(host, int(port), key, "\r\n".join(kept).encode("latin-1") + b"\r\n\r\n")


class Relay:
    def __init__(self) -> None:
        self._open: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._sent: Counter[str] = Counter()

    async def serve(self, host: str, port: int) -> None:
        """Until cancelled."""
        async with await asyncio.start_server(self._accept, host, port, limit=HEAD_LIMIT):
            try:
                await asyncio.gather(self._watch(), self._listen())
            finally:
                self._cut(set(self._open))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = parse(await reader.readuntil(b"\r\n\r\n"))
            async with asyncio.timeout(CONNECT_SECONDS):
                answers, requests = await asyncio.open_connection(head.host, head.port)
            requests.write(head.forwarded)
            with self._registered(head.key):
                heard = functools.partial(self._heard, head.key)
                await _splice((reader, requests), (answers, writer), heard)
        except Unusable as problem:
            logger.warning("refused: %s", problem)
            _answer(writer, "403 Forbidden")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _answer(writer, "502 Bad Gateway")
        finally:
            writer.close()

    @contextlib.contextmanager
    def _registered(self, key: str) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._open[key].add(task)
        try:
            yield
        finally:
            self._open[key].discard(task)
            if not self._open[key]:
                del self._open[key]

    def _heard(self, key: str, count: int) -> None:
        self._sent[key] += count

    async def _listen(self) -> None:
        """Once a minute, note how much each right was used to say."""
        while True:
            await asyncio.sleep(TALK_SECONDS)
            sent, self._sent = self._sent, Counter()
            try:
                await asyncio.to_thread(_note_talk, sent)
            except Exception:
                logger.exception("the database did not take who used their workspace")

    async def _watch(self) -> None:
        """Ask every few seconds which rights still hold."""
        clock = asyncio.get_running_loop().time
        answered = clock()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            asked = set(self._open)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    valid = await asyncio.to_thread(_still_valid, asked) if asked else set()
            except Exception:
                logger.exception("the database did not say who may stay")
                if clock() - answered < PATIENCE_SECONDS:
                    continue
                valid = set()
            else:
                answered = clock()
            self._cut(asked - valid)

    def _cut(self, keys: set[str]) -> None:
        for key in keys:
            tasks = list(self._open.get(key, ()))
            logger.info("cut %d connections of %s", len(tasks), key)
            for task in tasks:
                task.cancel()


async def _splice(there: Way, back: Way, heard: Callable[[int], None]) -> None:
    """Until one way ends; at once and for good when cancelled. `heard` is told the bytes that go there."""
    ways = (there, back)
    pumps = [asyncio.create_task(_pump(*there, heard)), asyncio.create_task(_pump(*back))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        for _, sink in ways:
            sink.transport.abort()
        raise
    finally:
        for pump in pumps:
            pump.cancel()
        for _, sink in ways:
            sink.close()


def _still_valid(keys: set[str]) -> set[str]:
    with _own_connection():
        return access.still_valid(keys)


def _note_talk(sent: Counter[str]) -> None:
    with _own_connection():
        actions.note_talk(sent)


@contextlib.contextmanager
def _own_connection() -> Iterator[None]:
    """To the database, for a thread that serves one question."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: Callable[[int], None] = lambda _: None
) -> None:
    """Until either side ends; reads no faster than the other side takes."""
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            count(len(data))
            sink.write(data)
            await sink.drain()


def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


async def run(address: str) -> None:
    """Serve at `host:port` until SIGTERM or SIGINT."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host, _, port = address.rpartition(":")
    serving = asyncio.create_task(Relay().serve(host, int(port)))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving

"""Asks a Docker engine for the log of a container: what there is, and what comes."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from runtimes.base import LogLine
from runtimes.docker_answers import seconds_of
from runtimes.docker_engine import Absent, Engine, StreamedAnswer, open_stream
from runtimes.docker_log import DockerLog
from runtimes.docker_pace import Attached, Pace

_MUCH, _MANY = 1024**2, 5000
"""Bytes and lines of a log that take a moment to read."""


def kept(engine: Engine, name: str, since: datetime | None) -> Iterator[LogLine]:
    """What there is."""
    log = DockerLog(since)
    yield from _read(engine, log, name, since, follow=False)
    yield from log.end()


def followed(engine: Engine, name: str, since: datetime | None) -> Iterator[LogLine]:
    """All until it ends, which it does no faster than its log is read."""
    with Pace(lambda: Attached(engine, name)) as pace:
        yield from _followed(engine, DockerLog(since, pace.took), name)


def _followed(engine: Engine, log: DockerLog, name: str) -> Iterator[LogLine]:
    """What there is comes first, and again when it was much: an engine loses whole files before a follower that is
    further behind than one of them, but gives all that it keeps to who does not follow.
    """
    while True:
        size, frames = log.size, log.frames
        yield from _read(engine, log, name, log.start_again(), follow=False)
        if log.size - size > _MUCH or log.frames - frames > _MANY:
            continue
        yield from _read(engine, log, name, log.start_again(), follow=True)
        if not log.late:
            break
    # The engine hangs up when the container ends, often before it has sent the last line.
    yield from _read(engine, log, name, log.start_again(), follow=False)
    yield from log.end()


def _read(engine: Engine, log: DockerLog, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
    with suppress(Absent), _opened(engine, name, since, follow) as answer:
        yield from log.lines(answer.read, follows=follow)


def _opened(engine: Engine, name: str, since: datetime | None, follow: bool) -> StreamedAnswer:
    params = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(follow),
        "since": seconds_of(since),
    }
    # A quiet container sends nothing for hours; what it follows ends when the engine hangs up.
    limits = (engine.seconds, None if follow else engine.seconds)
    path = f"/containers/{name}/logs"
    return engine.ask(lambda api: open_stream(api, path, params, limits), reading=True)

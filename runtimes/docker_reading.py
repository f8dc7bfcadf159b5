"""Asks a Docker engine for the log of a container: what there is, and what comes."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from runtimes.base import EngineUnreachable, LogLine
from runtimes.docker_answers import seconds_of
from runtimes.docker_engine import Absent, Engine, StreamedAnswer, open_stream
from runtimes.docker_log import DockerLog
from runtimes.docker_pace import Attached, Pace

_MANY, _MOST_TIMES = 20_000, 3
"""Lines that take a moment to read; how often they are read before what follows."""


def kept(engine: Engine, name: str, since: datetime | None) -> Iterator[LogLine]:
    """What there is."""
    log = DockerLog(since)
    with suppress(Absent), _opened(engine, name, since, follow=False) as answer:
        yield from log.lines(answer.read)
    yield from log.end()


def followed(engine: Engine, name: str, since: datetime | None) -> Iterator[LogLine]:
    """All until it ends, which it does no faster than its log is read."""
    with Pace(lambda: Attached(engine, name)) as pace:
        yield from _Following(engine, name, since, pace).lines()


class _Following:
    """An engine loses whole files before a follower that is further behind than one of them, and forgets one that still
    reads what was there when a file is rotated. So what there is comes first, the container is held until something
    written since has come, and who is forgotten asks again.
    """

    def __init__(self, engine: Engine, name: str, since: datetime | None, pace: Pace) -> None:
        self._engine, self._name, self._pace = engine, name, pace
        self._log = DockerLog(since, self._took, lambda: pace.listens)

    def lines(self) -> Iterator[LogLine]:
        follows = True
        while follows:
            self._pace.holds = True
            for _ in range(_MOST_TIMES):
                frames = self._log.frames
                yield from self._read(follow=False)
                if self._log.frames - frames < _MANY:
                    break
            yield from self._read(follow=True)
            follows = self._log.late or self._given_up
        # The engine hangs up when the container ends, often before it has sent the last line.
        yield from self._read(follow=False)
        yield from self._log.end()

    def _took(self, moment: int | None, size: int) -> None:
        self._pace.took(moment, size)
        if self._follows and (moment is None or moment >= self._begun):
            self._pace.holds = False

    def _read(self, *, follow: bool) -> Iterator[LogLine]:
        self._follows, self._given_up, self._begun = follow, False, time.time_ns()
        with suppress(Absent), _opened(self._engine, self._name, self._log.start_again(), follow=follow) as answer:
            if follow:
                self._pace.give_up = lambda: self._give_up(answer)
            try:
                yield from self._log.lines(lambda count: self._wait(answer, count), follows=follow)
            except EngineUnreachable:
                if not self._given_up:
                    raise
            finally:
                self._pace.give_up = lambda: None

    def _give_up(self, answer: StreamedAnswer) -> None:
        self._given_up = True
        answer.hang_up()

    def _wait(self, answer: StreamedAnswer, count: int) -> bytes:
        self._pace.waits = True
        data = answer.read(count)
        self._pace.waits = False
        return data


def _opened(engine: Engine, name: str, since: datetime | None, *, follow: bool) -> StreamedAnswer:
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

"""Reads the log of one Docker container: what it wrote to its two outputs, each piece once, as lines."""

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from runtimes.base import LogLine
from runtimes.hardening import LOG_FILE_MIB
from runtimes.lines import LineSplitter

_REMEMBERED = LOG_FILE_MIB * 1024**2 // 64
"""As many as fit into one of the engine's files, all of which it may send again; there no line takes less."""
_OVERLAP = timedelta(seconds=1)
_UNREAD = 8 * 1024**2
"""Bytes behind the container, in the engine's file, after which a follower had better ask for what there is."""
_LOOK_EVERY = 10_000
_ROW = 100
"""What a line takes there beside its text."""
MISSING = "[lines may be missing here: the engine dropped them before they were read]"

Read = Callable[[int], bytes]
Took = Callable[[int | None, int], None]


class DockerLog:
    """One reader of one log, however many answers of the engine it takes.

    A follower gets some frames twice when the engine changes log files, and has to ask again when the engine hung
    up early: each frame counts once, and a line goes on where the answer before broke off. `took` is told of each
    frame when it was written, in nanoseconds, and its size: 0 of one that came before, None where nobody knows. While
    it is `paced`, the container does not run away from a follower.
    """

    def __init__(
        self,
        since: datetime | None,
        took: Took = lambda moment, size: None,
        paced: Callable[[], bool] = lambda: False,
    ) -> None:
        self._since, self._took, self._paced = since, took, paced
        self._newest: datetime | None = None
        self._before = 0
        self._goes_on = False
        self.frames = self.size = 0
        self.late = False
        self._looked = (0, 0)
        self._outputs = {"stdout": _Output(), "stderr": _Output()}

    def lines(self, read: Read, *, follows: bool = False) -> Iterator[LogLine]:
        """Those that end in this answer; with `follows`, only until it comes `late`."""
        self.late = False
        for stream, frame in _frames(read):
            stamp, _, data = frame.partition(b" ")
            at = _moment(stamp)
            if self._since is not None and at < self._since:
                continue
            if self._goes_on:
                self._goes_on = False
                if self._newest is not None and at > self._newest:
                    yield LogLine(at, "berth", MISSING)
            output, moment = self._outputs[stream], _nanoseconds(at, stamp)
            goes_back, is_next, self._before = moment < self._before, moment == self._before, moment
            if not output.takes(moment, ends_line=data.endswith(b"\n")):
                if goes_back:
                    self._all_repeat()
                self._took(0, len(data))
                continue
            if self._newest is None or at > self._newest:
                self._newest = at
            self._count(None if is_next else moment, len(data))
            for piece in output.splitter.feed(data):
                yield LogLine(at, stream, *piece)
            if follows and self._is_late(None if is_next else moment):
                self.late = True
                return

    def _count(self, moment: int | None, size: int) -> None:
        self.frames += 1
        self.size += size
        self._took(moment, size)

    def _is_late(self, moment: int | None) -> bool:
        """As far as can be told from how old the newest line is, and from how fast it goes. Looked at now and then; of
        a long line, all frames have the time of the first.
        """
        if moment is None or self.frames % _LOOK_EVERY or self._paced():
            return False
        now, (before, size) = time.time_ns(), self._looked
        self._looked = (now, self.size)
        return (now - moment) / (now - before) * (self.size - size + _ROW * _LOOK_EVERY) > _UNREAD

    def end(self) -> Iterator[LogLine]:
        """What no line end followed."""
        for stream, output in self._outputs.items():
            for piece in output.splitter.end():
                yield LogLine(self._newest or datetime.now(UTC), stream, *piece)

    def start_again(self) -> datetime | None:
        """From when to ask again so that nothing is missed; the two outputs may be out of order a little."""
        self._all_repeat()
        self._before, self._goes_on = 0, self._newest is not None
        return self._newest - _OVERLAP if self._newest else self._since

    def _all_repeat(self) -> None:
        for output in self._outputs.values():
            output.repeats()


class _Output:
    """Tells a frame from its repetition by its time in nanoseconds, which rises.

    A repetition begins with a time that was taken before; a time that was not taken is a clock that was set back.
    The frames of one long line share one time, and the next line has another: the newest time after a line's end is a
    repetition too, and in it as many frames as were taken are left out. Of a line longer than what the engine keeps a
    repetition begins anywhere, so of what is dropped anyway all frames are taken; one of another time says that the
    end of that line was lost.
    """

    def __init__(self) -> None:
        self.splitter = LineSplitter()
        self._taken = array("q")
        self._repeated: int | None = None
        self._ended_line = True

    def repeats(self) -> None:
        """What comes next may have been taken before: a repetition begins, whatever an earlier one had counted."""
        self._repeated = 0

    def takes(self, time: int, *, ends_line: bool) -> bool:
        newest = self._taken[-1] if self._taken else None
        if time == newest and self._ended_line:
            self.repeats()
        self._ended_line = ends_line
        goes_on = self.splitter.is_cut and time == newest
        if newest is not None and time <= newest and not goes_on and self._was_taken(time):
            return False
        if self.splitter.is_cut and not goes_on:
            self.splitter.feed(b"\n")
        self._repeated = None
        self._taken.append(time)
        if len(self._taken) > 2 * _REMEMBERED:
            del self._taken[:_REMEMBERED]
        return True

    def _was_taken(self, time: int) -> bool:
        first = bisect_left(self._taken, time)
        if self._taken[first] != time:
            self._taken = array("q")
            return False
        if time < self._taken[-1]:
            return True
        if self._repeated is None:
            return False
        self._repeated += 1
        return self._repeated <= len(self._taken) - first


def _moment(stamp: bytes) -> datetime:
    at = datetime.fromisoformat(stamp.decode())
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _nanoseconds(at: datetime, stamp: bytes) -> int:
    """Of its nine digits, a datetime holds six."""
    rest = stamp[26:29]
    return (int(at.timestamp()) * 1_000_000 + at.microsecond) * 1000 + (int(rest) if rest.isdigit() else 0)


def _frames(read: Read) -> Iterator[tuple[str, bytes]]:
    """The engine's multiplexed stream: one byte for the stream, four for the length, the data. Half a frame is none."""
    while len(header := read(8)) == 8:
        length = int.from_bytes(header[4:], "big")
        if len(frame := read(length)) == length:
            yield "stderr" if header[0] == 2 else "stdout", frame

"""Log lines of an allocation: numbered, masked, in compressed chunks in storage; the last ones live in Redis."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction

from portal.compute.models import Allocation, LogChunk
from portal.lib import clock
from portal.live.redis import append_frame
from runtimes.base import LogLine

CHUNK_LINES = 1000
CHUNK_BYTES = 256 * 1024
CHUNK_AGE = timedelta(seconds=1)
FRAME_BYTES = 64 * 1024
MASK = "••••••"


class Line(NamedTuple):
    """One stored line; also its shape in a chunk and in a live frame."""

    seq: int
    at: str
    stream: str
    text: str


@dataclass(slots=True)
class ChunkWriter:
    """Collects lines of one allocation; continues behind what storage already has.

    `since` is where to reopen the engine's log; lines it repeats are recognised and dropped.
    """

    allocation: Allocation
    secrets: tuple[str, ...] = ()
    since: datetime | None = None
    _seq: int = 0
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _lines: list[Line] = field(default_factory=list)
    _bytes: int = 0
    _opened_at: datetime | None = None

    def __post_init__(self) -> None:
        last = LogChunk.objects.filter(allocation=self.allocation).order_by("-last_seq").first()
        if last is not None:
            self._seq, self.since = last.last_seq, last.last_at
            at = last.last_at.isoformat()
            self._seen = {(line.at, line.text) for line in _read_chunk(last) if line.at == at}

    def add(self, line: LogLine) -> None:
        text = line.text
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        at = line.at.isoformat()
        if (at, text) in self._seen or (self.since is not None and line.at < self.since):
            return
        self._seq += 1
        self._lines.append(Line(self._seq, at, line.stream, text))
        self._bytes += len(text)
        self._opened_at = self._opened_at or clock.now()
        if len(self._lines) >= CHUNK_LINES or self._bytes >= CHUNK_BYTES:
            self.flush()

    def flush_if_due(self) -> None:
        if self._opened_at is not None and clock.now() - self._opened_at >= CHUNK_AGE:
            self.flush()

    def flush(self) -> None:
        """Write what is collected. Raises Superseded when another collector wrote these numbers first."""
        if not self._lines:
            return
        lines, self._lines, self._bytes, self._opened_at = self._lines, [], 0, None
        path = Path(self.allocation.pk) / f"{lines[0].seq:012d}.gz"
        data = gzip.compress("\n".join(json.dumps(line) for line in lines).encode(), 3)
        target = settings.LOG_STORAGE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{clock.now().timestamp()}.part")
        partial.write_bytes(data)
        try:
            with transaction.atomic():
                LogChunk.objects.create(
                    allocation=self.allocation,
                    first_seq=lines[0].seq,
                    last_seq=lines[-1].seq,
                    first_at=lines[0].at,
                    last_at=lines[-1].at,
                    size=len(data),
                    path=str(path),
                )
                partial.rename(target)
        except IntegrityError as error:
            partial.unlink(missing_ok=True)
            raise Superseded from error
        _announce(self.allocation.pk, lines)


class Superseded(Exception):
    """Another collector is writing this log; open it anew."""


def _announce(allocation_id: str, lines: list[Line]) -> None:
    """Frames for live readers, each at most FRAME_BYTES."""
    frame: list[Line] = []
    size = 0
    for line in lines:
        if frame and size + len(line.text) > FRAME_BYTES:
            _send(allocation_id, frame)
            frame, size = [], 0
        frame.append(line)
        size += len(line.text) + 60
    _send(allocation_id, frame)


def _send(allocation_id: str, frame: list[Line]) -> None:
    append_frame(allocation_id, {"first": frame[0].seq, "last": frame[-1].seq, "lines": frame, "skipped": 0})


def _read_chunk(chunk: LogChunk) -> list[Line]:
    try:
        data = gzip.decompress((settings.LOG_STORAGE / chunk.path).read_bytes()).decode()
    except (OSError, EOFError):
        return [Line(chunk.first_seq, chunk.first_at.isoformat(), "berth", "[these lines are lost from storage]")]
    return [Line(*json.loads(line)) for line in data.split("\n")]


def moment(line: Line) -> datetime:
    return datetime.fromisoformat(line.at)


def lines_after(allocation: Allocation, after: int = 0) -> Iterator[Line]:
    """Archived lines numbered above `after`, in order, one chunk in memory at a time."""
    for chunk in LogChunk.objects.filter(allocation=allocation, last_seq__gt=after).order_by("first_seq").iterator():
        yield from (line for line in _read_chunk(chunk) if line.seq > after)


def last_lines(allocation: Allocation, count: int) -> list[Line]:
    """The last `count` archived lines."""
    last = (
        LogChunk.objects.filter(allocation=allocation).order_by("-last_seq").values_list("last_seq", flat=True).first()
    )
    return list(lines_after(allocation, max((last or 0) - count, 0)))

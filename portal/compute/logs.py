"""Log lines of an allocation on their way in: numbered, masked, in compressed chunks; the last ones live in Redis."""

import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum

from portal.compute import owners
from portal.compute.lines import Line
from portal.compute.masking import masked
from portal.compute.models import Allocation, LogChunk
from portal.lib import clock
from portal.live.redis import append_frame
from runtimes.base import LogLine

CHUNK_LINES = 1000
CHUNK_BYTES = 256 * 1024
CHUNK_AGE = timedelta(seconds=1)
FRAME_BYTES = 64 * 1024
LINE_BYTES = 32
"""What a line counts beside its text, so that empty ones fill a log too."""
OVERLAP = timedelta(seconds=1)
"""How far behind the newest line a log is opened again: its two streams may be out of order a little."""


class Superseded(Exception):
    """Another collector is writing this log; open it anew."""


class OverQuota(Exception):
    """The log is as long as it may become; this line and what follows is not kept."""


@dataclass(slots=True)
class ChunkWriter:
    """Collects lines of one allocation; continues behind what storage already has.

    `secrets` are the needles of masking.py. `since` is where to reopen the engine's log; lines it repeats are
    recognised and dropped, each as often as storage has it.
    """

    allocation: Allocation
    secrets: tuple[str, ...] = ()
    since: datetime | None = None
    _seq: int = 0
    _stored: int = 0
    _repeated: Counter[int] = field(default_factory=Counter)
    _lines: list[Line] = field(default_factory=list)
    _bytes: int = 0
    _opened_at: datetime | None = None

    def __post_init__(self) -> None:
        chunks = LogChunk.objects.filter(allocation=self.allocation)
        last = chunks.order_by("-last_seq").first()
        if last is not None:
            self._seq, self.since = last.last_seq, last.last_at - OVERLAP
            self._stored = chunks.aggregate(total=Sum("text_size"))["total"]
            since = self.since.isoformat()
            for chunk in chunks.filter(last_at__gte=self.since).order_by("first_seq"):
                self._repeated.update(_mark(*line[1:4]) for line in read_chunk(chunk) if line.at >= since)

    def add(self, line: LogLine) -> None:
        """Raises OverQuota for a line that is too much, and Superseded as `flush` does."""
        text = masked(line.text, self.secrets)
        at = line.at.isoformat()
        if self.since is not None and (line.at < self.since or self._repeats(at, line.stream, text)):
            return
        if self._stored + self._bytes >= settings.LOG_BYTES:
            self.flush()
            raise OverQuota
        self._seq += 1
        self._lines.append(Line(self._seq, at, line.stream, text, line.returned))
        self._bytes += LINE_BYTES + (len(text) if text.isascii() else len(text.encode()))
        self._opened_at = self._opened_at or clock.now()
        if len(self._lines) >= CHUNK_LINES or self._bytes >= CHUNK_BYTES:
            self.flush()

    def flush_if_due(self) -> None:
        if self._opened_at is not None and clock.now() - self._opened_at >= CHUNK_AGE:
            self.flush()

    def flush(self) -> None:
        """Write what is collected. Raises Superseded when another collector wrote these numbers first."""
        if self._lines:
            lines, size = self._lines, self._bytes
            self._lines, self._bytes, self._opened_at = [], 0, None
            _store(self.allocation, lines, size)
            self._stored += size
            _announce(self.allocation.pk, lines)

    def _repeats(self, at: str, stream: str, text: str) -> bool:
        mark = _mark(at, stream, text)
        if not self._repeated[mark]:
            return False
        self._repeated[mark] -= 1
        return True


def _mark(at: str, stream: str, text: str) -> int:
    return hash((at, stream, text))


def _store(allocation: Allocation, lines: list[Line], text_size: int) -> None:
    path = Path(allocation.pk) / f"{lines[0].seq:012d}.gz"
    data = gzip.compress(json.dumps(lines)[1:-1].encode(), 1)
    target = settings.LOG_STORAGE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{clock.now().timestamp()}.part")
    partial.write_bytes(data)
    times = [line.at for line in lines]
    try:
        with transaction.atomic():
            LogChunk.objects.create(
                allocation=allocation,
                first_seq=lines[0].seq,
                last_seq=lines[-1].seq,
                first_at=min(times),
                last_at=max(times),
                size=len(data),
                text_size=text_size,
                path=str(path),
            )
            owners.owner_of(allocation).logged(allocation, lines)
            partial.rename(target)
    except IntegrityError as error:
        partial.unlink(missing_ok=True)
        raise Superseded from error


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
    append_frame(allocation_id, {"first": frame[0].seq, "last": frame[-1].seq, "lines": frame})


def read_chunk(chunk: LogChunk) -> list[Line]:
    try:
        rows = gzip.decompress((settings.LOG_STORAGE / chunk.path).read_bytes()).decode().split("\n")
        return [Line(*fields) for fields in json.loads(f"[{','.join(rows)}]")]
    except (OSError, EOFError, zlib.error, ValueError):
        return [Line(chunk.first_seq, chunk.first_at.isoformat(), "berth", "[these lines are lost from storage]")]

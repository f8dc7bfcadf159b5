"""The log of one local process: JSON lines in two files of bounded size, written by its supervisor."""

import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from runtimes.base import LogLine
from runtimes.lines import Piece

_LARGEST = 10 * 1024**2
_CURRENT, _OLDER = "log", "log.1"


class LogWriter:
    """Appends lines; when the file is full it becomes the older one, and the one before that is lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / _CURRENT).open("ab", buffering=0)

    def write(self, stream: str, pieces: list[Piece]) -> None:
        at = datetime.now(UTC).isoformat()
        rows = [json.dumps({"at": at, "stream": stream, **piece._asdict()}) + "\n" for piece in pieces]
        self._file.write("".join(rows).encode())
        if self._file.tell() > _LARGEST:
            self._file.close()
            (self._folder / _CURRENT).rename(self._folder / _OLDER)
            self._file = (self._folder / _CURRENT).open("ab", buffering=0)


def read_lines(folder: Path, ended: Callable[[], bool] | None) -> Iterator[LogLine]:
    """What was written; with `ended`, also what comes until it says so. Empty when there is no log."""
    older = folder / _OLDER
    if older.exists():
        yield from map(_parse, older.read_bytes().splitlines())
    while (folder / _CURRENT).exists():
        if not (yield from _read_one(folder / _CURRENT, ended)):
            return


def _read_one(path: Path, ended: Callable[[], bool] | None) -> Generator[LogLine, None, bool]:
    """Returns True when another file has taken this one's place meanwhile."""
    rest = b""
    with path.open("rb") as file:
        while True:
            # Asked before reading: what was written up to the end is then in what is read.
            last = ended is None or ended()
            replaced = not _same_file(path, file.fileno())
            *lines, rest = (rest + file.read()).split(b"\n")
            yield from map(_parse, lines)
            if replaced or last:
                return replaced
            time.sleep(0.05)


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return True


def _parse(row: bytes) -> LogLine:
    fields = json.loads(row)
    at = datetime.fromisoformat(fields["at"])
    return LogLine(at, fields["stream"], fields["text"], fields.get("returned", False))

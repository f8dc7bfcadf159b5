"""Reads what a Docker engine answers into the types of base.py; pure, and free of the SDK."""

import calendar
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from runtimes.base import ContainerState, LogLine, Observation, Usage
from runtimes.lines import LineSplitter

_REMEMBERED = 20_000


def observation(found: dict[str, Any]) -> Observation:
    state = found["State"]
    now = state_of(state["Status"])
    ended = now is ContainerState.EXITED
    return Observation(
        name=found["Name"].lstrip("/"),
        state=now,
        labels=found["Config"]["Labels"] or {},
        address=_address(found) if now is ContainerState.RUNNING else None,
        started_at=moment(state["StartedAt"]),
        finished_at=moment(state["FinishedAt"]) if ended else None,
        exit_code=state["ExitCode"] if ended else None,
        out_of_memory=bool(state["OOMKilled"]),
        error=state["Error"] or "",
    )


def state_of(status: str) -> ContainerState:
    known = {
        "created": ContainerState.CREATED,
        "exited": ContainerState.EXITED,
        "dead": ContainerState.EXITED,
    }
    return known.get(status, ContainerState.RUNNING)


def _address(found: dict[str, Any]) -> str | None:
    port = (found["Config"]["Labels"] or {}).get("berth.port")
    networks = (found["NetworkSettings"]["Networks"] or {}).values()
    address = next((network["IPAddress"] for network in networks if network["IPAddress"]), None)
    return f"{address}:{port}" if port and address else None


def moment(text: str) -> datetime | None:
    return None if not text or text.startswith("0001-01-01") else datetime.fromisoformat(text).astimezone(UTC)


def seconds_of(moment: datetime | None) -> str | None:
    """The engine's spelling of a time: seconds and nine digits, without the rounding of a float."""
    if moment is None:
        return None
    return f"{calendar.timegm(moment.utctimetuple())}.{moment.microsecond:06d}000"


def log_lines(read: Callable[[int], bytes]) -> Iterator[LogLine]:
    splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
    at = datetime.now(UTC)
    for stream, frame in _frames(read):
        stamp, _, text = frame.partition(b" ")
        at = datetime.fromisoformat(stamp.decode()).astimezone(UTC)
        for line in splitters[stream].feed(text):
            yield LogLine(at, stream, line)
    for stream, splitter in splitters.items():
        for line in splitter.end():
            yield LogLine(at, stream, line)


class FreshLines:
    """Tells a line from its repetition: a follower gets some twice when the engine changes log files.

    A repetition begins with a line older than its stream's newest, and ends with one not given before. A
    clock that was set back looks the same at first, so a line is left out only if it was given already.
    """

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._newest: dict[str, datetime] = {}
        self._given: OrderedDict[int, None] = OrderedDict()
        self._repeating = False

    def takes(self, line: LogLine) -> bool:
        if self._since and line.at < self._since:
            return False
        key = hash((line.at, line.stream, line.text))
        self._repeating |= line.at < self._newest.get(line.stream, line.at)
        if self._repeating and key in self._given:
            return False
        self._repeating = False
        self._newest[line.stream] = line.at
        self._given[key] = None
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return True

    def start_again(self) -> datetime | None:
        """From when to read again so that nothing is missed; the two streams may be out of order a little."""
        self._repeating = True
        return max(self._newest.values()) - timedelta(seconds=1) if self._newest else self._since


def _frames(read: Callable[[int], bytes]) -> Iterator[tuple[str, bytes]]:
    """The engine's multiplexed stream: one byte for the stream, four for the length, the data."""
    while len(header := read(8)) == 8:
        yield "stderr" if header[0] == 2 else "stdout", read(int.from_bytes(header[4:], "big"))


def usage_of(stats: dict[str, Any]) -> Usage | None:
    memory, at = stats.get("memory_stats") or {}, moment(stats.get("read", ""))
    if at is None or "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    cpu = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    return Usage(at, cpu, max(memory["usage"] - cache, 0))

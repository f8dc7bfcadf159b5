"""Reads what a Docker engine answers into the types of base.py; pure, and free of the SDK."""

import calendar
from datetime import UTC, datetime
from typing import Any

from runtimes.base import ContainerState, Observation, Process, Usage

PS_OPTIONS = "-eo pid,tpgid,comm"


def observation(found: dict[str, Any]) -> Observation:
    state = found["State"]
    now = state_of(state["Status"])
    ended = now is ContainerState.EXITED
    started_at, finished_at = moment(state["StartedAt"]), moment(state["FinishedAt"])
    if started_at and finished_at:
        # The engine notes a start when it hears of it, which may be after what ends at once has ended.
        finished_at = max(started_at, finished_at)
    return Observation(
        name=found["Name"].lstrip("/"),
        state=now,
        labels=found["Config"]["Labels"] or {},
        address=_address(found) if now is ContainerState.RUNNING else None,
        started_at=started_at,
        finished_at=finished_at if ended else None,
        exit_code=state["ExitCode"] if ended else None,
        out_of_memory=bool(state["OOMKilled"]),
        error=state["Error"] or "",
        frozen=state["Status"] == "paused",
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


def usage_of(stats: dict[str, Any]) -> Usage | None:
    memory, at = stats.get("memory_stats") or {}, moment(stats.get("read", ""))
    if at is None or "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    cpu = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    return Usage(at, cpu, max(memory["usage"] - cache, 0))


def processes_of(top: dict[str, Any]) -> tuple[Process, ...]:
    """What `ps` with PS_OPTIONS says: -1 in the second column is “no terminal”."""
    return tuple(Process(command, tpgid != "-1") for _, tpgid, command in top["Processes"] or ())

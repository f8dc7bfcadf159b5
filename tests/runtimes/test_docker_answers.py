"""What an engine answers, read into the types of base.py."""

from datetime import UTC, datetime, timedelta
from typing import Any

from runtimes.docker_answers import observation

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def _exited(started: datetime, finished: datetime) -> dict[str, Any]:
    times = {"StartedAt": started.isoformat(), "FinishedAt": finished.isoformat()}
    state = {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "Error": ""} | times
    return {"Name": "/berth-a-b-g1", "State": state, "Config": {"Labels": {}}, "NetworkSettings": {"Networks": {}}}


def test_the_end_is_the_engines() -> None:
    found = observation(_exited(NOON, NOON + timedelta(microseconds=1)))
    assert (found.started_at, found.finished_at) == (NOON, NOON + timedelta(microseconds=1))


def test_what_ended_before_the_engine_noted_its_start_took_no_time() -> None:
    found = observation(_exited(NOON, NOON - timedelta(milliseconds=8)))
    assert (found.started_at, found.finished_at) == (NOON, NOON)

"""What the engine says of containers, written down as it happens, and what Berth has written of the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg2
from docker import APIClient

from runtimes.base import Observation
from runtimes.docker_answers import observation
from tests.system import Berth

ATTEMPTS = """
    SELECT a.allocation_id, c.started_at, c.ended_at, c.exit_code,
           (SELECT count(*) FROM compute_transition t WHERE t.allocation_id = c.id AND t.to_phase = 'ended')
    FROM jobs_attempt a JOIN compute_allocation c ON c.id = a.allocation_id
    WHERE a.job_id = ANY(%s) ORDER BY a.job_id, a.number
"""
INTERVALS = "SELECT meter, started_at, ended_at FROM usage_usageinterval WHERE allocation_id = %s ORDER BY meter"
ARTIFACTS = "SELECT path, sha256 FROM jobs_artifact WHERE job_id = %s ORDER BY path"
METERS = ("cpu", "memory")


class AttemptRow(NamedTuple):
    """`endings` counts how often it was said to have ended."""

    allocation: str
    started_at: datetime
    ended_at: datetime
    exit_code: int | None
    endings: int


class Record:
    """Attempts, intervals and artifacts of these jobs, as they are in the database."""

    def __init__(self, berth: Berth, jobs: list[str]) -> None:
        self._connection = psycopg2.connect(berth.configuration.environment["DATABASE_URL"])
        try:
            self.attempts = [AttemptRow(*row) for row in self._rows(ATTEMPTS, jobs)]
            self.intervals = {one.allocation: self._rows(INTERVALS, one.allocation) for one in self.attempts}
            self.artifacts = {pk: dict(self._rows(ARTIFACTS, pk)) for pk in jobs}
        finally:
            self._connection.close()

    def _rows(self, query: str, asked: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, [asked])
            return list(cursor.fetchall())


class Witness:
    """Looks at each container the moment it ends, while the engine still has it."""

    def __init__(self) -> None:
        self.seen: dict[str, Observation] = {}

    def assert_agrees(self, record: Record) -> None:
        """Each attempt ended once; start, end and exit code are the engine's; each meter ran in between, once."""
        assert record.attempts
        for one in record.attempts:
            told = self.seen[one.allocation]
            assert (one.started_at, one.ended_at, one.exit_code) == (told.started_at, told.finished_at, told.exit_code)
            assert one.endings == 1
            span = (whole_second(told.started_at), whole_second(told.finished_at))
            assert record.intervals[one.allocation] == [(meter, *span) for meter in METERS]


def whole_second(at: datetime | None) -> datetime:
    assert at is not None
    return (at + timedelta(milliseconds=500)).replace(microsecond=0)


@contextmanager
def watching(berth: Berth) -> Iterator[Witness]:
    """One that sees all that end within the block."""
    witness = Witness()
    client = APIClient(base_url=berth.engine.url or None, version="auto")

    def watch(deaths: Iterator[dict[str, str]]) -> None:
        for one in (death for death in deaths if death["berth.owner"] != "canary"):
            witness.seen[one["berth.allocation"]] = observation(client.inspect_container(one["name"]))

    with berth.engine.events(f"berth.instance={berth.instance}", "die") as deaths:
        thread = threading.Thread(target=watch, args=(deaths,), daemon=True)
        thread.start()
        yield witness
    thread.join(10)
    client.close()

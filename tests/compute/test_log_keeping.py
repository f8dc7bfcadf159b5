"""The quota of a log and the end of its time."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.compute import log_keeping, log_reading, logs
from portal.compute.agent import collecting
from portal.compute.models import Allocation, LogChunk
from portal.compute.states import LogState
from portal.lib import clock
from runtimes.base import LogLine

pytestmark = pytest.mark.django_db
Settle = Callable[..., None]


@pytest.fixture
def allocation(
    make_workspace: Callable[..., Any], settle: Settle, fake_engine: Any, settings: Any, tmp_path: Path
) -> Allocation:
    settings.LOG_STORAGE = tmp_path
    workspace = make_workspace()
    settle()
    return Allocation.objects.get(pk=workspace.allocation_id)


class Endless:
    """A program that never stops writing."""

    def __init__(self) -> None:
        self.given = 0

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        while True:
            self.given += 1
            yield LogLine(clock.now(), "stdout", f"{self.given:068}")


def test_a_log_ends_at_its_quota_and_the_program_runs_on(
    allocation: Allocation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOG_BYTES = 100 * 5000
    engine = Endless()
    monkeypatch.setattr(collecting, "runtime", lambda: engine)
    monkeypatch.setattr(collecting, "close_old_connections", lambda: None)
    collecting._follow(allocation)
    allocation.refresh_from_db()
    assert (allocation.log_state, allocation.phase) == (LogState.OVER_QUOTA, "running")
    assert log_reading.last_seq(allocation) == 5000
    assert allocation not in collecting._with_log()
    for thread in threading.enumerate():
        if thread.name.startswith("pump-"):
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_the_quota_counts_what_was_stored_before(allocation: Allocation, settings: Any) -> None:
    settings.LOG_BYTES = 100 * 10
    lines = [LogLine(clock.now(), "stdout", f"{number:068}") for number in range(12)]
    _write(allocation, lines[:6])
    with pytest.raises(logs.OverQuota):
        _write(allocation, lines)
    assert log_reading.last_seq(allocation) == 10


def _write(allocation: Allocation, lines: list[LogLine]) -> None:
    writer = logs.ChunkWriter(allocation)
    for line in lines:
        writer.add(line)
    writer.flush()


def test_a_log_is_removed_when_its_time_is_over(
    allocation: Allocation, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOG_KEPT = timedelta(days=30)
    _write(allocation, [LogLine(clock.now(), "stdout", "hello")])
    log_keeping.remove_due()
    now = clock.now()
    Allocation.objects.update(phase="ended", desired="end", log_state="complete", ended_at=now)
    log_keeping.remove_due()
    assert (LogChunk.objects.count(), len(list(tmp_path.rglob("*.gz")))) == (1, 1)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=31))
    log_keeping.remove_due()
    log_keeping.remove_due()
    allocation.refresh_from_db()
    assert (LogChunk.objects.count(), list(tmp_path.iterdir())) == (0, [])
    assert (allocation.log_state, allocation.log_removed_at) == (LogState.REMOVED, now + timedelta(days=31))


def test_without_a_limit_logs_stay(allocation: Allocation, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOG_KEPT = None
    now = clock.now()
    Allocation.objects.update(phase="ended", desired="end", log_state="complete", ended_at=now)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=9999))
    log_keeping.remove_due()
    assert Allocation.objects.get().log_state == LogState.COMPLETE

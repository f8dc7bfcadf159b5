"""Collecting a log: whole, also when the engine hangs up in between, and no thread outlives its reader."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.compute import log_reading, logs, specs
from portal.compute.agent import collecting
from portal.compute.models import Allocation
from runtimes.base import EngineUnreachable, LogLine
from runtimes.fake_engine import FakeEngine

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 21, tzinfo=UTC)


class Engine:
    """A log of 5,000 lines from an engine that hangs up after `until`, or says no."""

    def __init__(self, until: int, failure: Exception | None = None) -> None:
        self.until, self.failure = until, failure

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        for number in range(self.until):
            at = T0 + timedelta(milliseconds=number)
            if since is None or at >= since:
                yield LogLine(at, "stdout", f"line {number}")
        if self.failure:
            raise self.failure


@pytest.fixture
def allocation(make_workspace: Callable[..., Any], settings: Any, tmp_path: Path) -> Allocation:
    settings.LOG_STORAGE = tmp_path
    return Allocation.objects.get(pk=make_workspace().allocation_id)


def copied(allocation: Allocation) -> list[str]:
    return [line.text for line in log_reading.lines_after(allocation)]


def test_a_log_continues_where_the_engine_hung_up(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    for until in (1500, 5000):
        engine = Engine(until)
        monkeypatch.setattr(collecting, "runtime", lambda engine=engine: engine)
        collecting._copy("c", logs.ChunkWriter(allocation))
    assert copied(allocation) == [f"line {number}" for number in range(5000)]


def test_what_came_before_a_failure_is_kept(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "runtime", lambda: Engine(1200, EngineUnreachable("gone")))
    with pytest.raises(EngineUnreachable):
        collecting._copy("c", logs.ChunkWriter(allocation))
    assert copied(allocation)[:1000] == [f"line {number}" for number in range(1000)]


def test_a_reader_that_gives_up_leaves_no_thread(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "runtime", lambda: Engine(100_000))
    writer = logs.ChunkWriter(allocation)
    monkeypatch.setattr(logs.ChunkWriter, "add", lambda self, line: (_ for _ in ()).throw(logs.Superseded()))
    with pytest.raises(logs.Superseded):
        collecting._copy("gave-up", writer)
    for thread in threading.enumerate():
        if thread.name == "pump-gave-up":
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_a_page_is_told_when_the_log_of_what_ended_is_complete(
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
    fake_engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[str] = []
    monkeypatch.setattr(collecting, "publish", published.append)
    monkeypatch.setattr(collecting, "close_old_connections", lambda: None)
    monkeypatch.setattr(collecting, "runtime", lambda: fake_engine.driver)  # type: ignore[attr-defined]
    pk = make_workspace().allocation.pk
    settle()
    ended = Allocation.objects.get(pk=pk)
    fake_engine.end(specs.container_name(ended), 7)
    settle()
    collecting._follow(ended)
    assert published == [ended.topic]

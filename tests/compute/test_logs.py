"""Logs: numbered without gaps or repeats, masked, in bounded chunks, continued where they stopped."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from portal.compute import log_reading, logs
from portal.compute.masking import MASK
from portal.compute.models import Allocation, LogChunk
from runtimes.base import LogLine

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def allocation(make_workspace: Callable[..., Any], settings: Any, tmp_path: Path) -> Allocation:
    settings.LOG_STORAGE = tmp_path
    return Allocation.objects.get(pk=make_workspace().allocation_id)


def line(number: int, text: str = "") -> LogLine:
    return LogLine(T0 + timedelta(milliseconds=number), "stdout", text or f"line {number}")


def test_lines_are_numbered_and_come_back_whole(allocation: Allocation) -> None:
    writer = logs.ChunkWriter(allocation)
    for number in range(2500):
        writer.add(line(number))
    writer.flush()
    assert [one.seq for one in log_reading.lines_after(allocation)] == list(range(1, 2501))
    assert [one.text for one in islice(log_reading.lines_before(allocation, 2501), 2)] == ["line 2499", "line 2498"]
    assert LogChunk.objects.count() == 3
    assert next(log_reading.lines_after(allocation, after=2000)).seq == 2001


def test_a_new_collector_goes_on_and_drops_what_it_has(allocation: Allocation) -> None:
    first = logs.ChunkWriter(allocation)
    for number in range(10):
        first.add(line(number))
    first.flush()
    second = logs.ChunkWriter(allocation)
    assert second.since == T0 + timedelta(milliseconds=9) - logs.OVERLAP
    for number in range(8, 15):
        second.add(line(number))
    second.flush()
    assert [one.text for one in log_reading.lines_after(allocation)] == [f"line {n}" for n in range(15)]


def test_two_collectors_cannot_write_the_same_numbers(allocation: Allocation) -> None:
    first, second = logs.ChunkWriter(allocation), logs.ChunkWriter(allocation)
    first.add(line(1))
    second.add(line(1))
    first.flush()
    with pytest.raises(logs.Superseded):
        second.flush()
    assert [one.text for one in log_reading.lines_after(allocation)] == ["line 1"]


def test_secrets_are_masked(allocation: Allocation) -> None:
    writer = logs.ChunkWriter(allocation, ("s3cret",))
    writer.add(line(1, "token=s3cret&x=s3cret"))
    writer.flush()
    assert next(log_reading.lines_after(allocation)).text == f"token={MASK}&x={MASK}"


def test_many_bytes_make_a_chunk_and_frames_stay_small(allocation: Allocation, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "append_frame", lambda key, frame: frames.append(frame))
    writer = logs.ChunkWriter(allocation)
    for number in range(100):
        writer.add(line(number, "x" * 8000))
    writer.flush()
    assert LogChunk.objects.count() == 4
    assert all(sum(len(one[3]) for one in frame["lines"]) <= logs.FRAME_BYTES for frame in frames)
    assert [frame["first"] for frame in frames[1:]] == [frame["last"] + 1 for frame in frames[:-1]]


def test_a_chunk_lost_from_storage_is_said(allocation: Allocation, tmp_path: Path) -> None:
    writer = logs.ChunkWriter(allocation)
    writer.add(line(1))
    writer.flush()
    (tmp_path / LogChunk.objects.get().path).unlink()
    assert "lost from storage" in next(log_reading.lines_after(allocation)).text


@pytest.mark.parametrize("stored", range(8))
def test_wherever_a_collector_died_the_next_loses_and_doubles_nothing(
    allocation: Allocation, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    """Equal lines at one time, and two streams a little out of order."""
    lines = [
        *[line(number, "same") for number in (1, 1, 1, 2)],
        LogLine(T0 + timedelta(milliseconds=5), "stderr", "late"),
        *[line(number, "early") for number in (3, 4, 4)],
    ]
    monkeypatch.setattr(logs, "CHUNK_LINES", 1)
    for begun in (lines[:stored], lines):
        writer = logs.ChunkWriter(allocation)
        for one in begun:
            writer.add(one)
    found = [(one.stream, one.text, one.at) for one in log_reading.lines_after(allocation)]
    assert found == [(one.stream, one.text, one.at.isoformat()) for one in lines]

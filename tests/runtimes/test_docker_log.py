"""The engine's frames of a log: each counts once, in whatever pieces and repetitions they arrive."""

import json
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from runtimes import docker_log
from runtimes.base import LogLine
from runtimes.docker_log import MISSING, DockerLog
from runtimes.hardening import LOG_FILE_MIB

START = datetime(2026, 1, 1, tzinfo=UTC)


def _frame(nanoseconds: int, text: str, stream: str = "stdout") -> bytes:
    at = START + timedelta(seconds=nanoseconds // 10**9)
    data = f"{at:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z {text}".encode()
    return bytes([2 if stream == "stderr" else 1, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def _read(log: DockerLog, *frames: bytes) -> list[str]:
    return [line.text for line in log.lines(BytesIO(b"".join(frames)).read)]


S = 10**9
START_NS = int(START.timestamp()) * S


def test_frames_sent_twice_are_given_once() -> None:
    log = DockerLog(None)
    once = [_frame(S, "a\n"), _frame(2 * S, "b\n"), _frame(2 * S + 1, "c\n"), _frame(3 * S // 2, "d\n", "stderr")]
    later = [_frame(2 * S + 2, "e\n"), _frame(3 * S, "f\n")]
    assert _read(log, *once, *once, *later) == ["a", "b", "c", "d", "e", "f"]
    assert log.start_again() == START + timedelta(seconds=2)
    assert _read(log, *once[1:3], *later, _frame(3 * S + 1, "g\n"), _frame(2 * S, "h\n", "stderr")) == ["g", "h"]


def test_all_frames_of_a_long_line_are_taken_though_they_are_equal() -> None:
    assert _read(DockerLog(None), *[_frame(S, "a")] * 3, _frame(S, "a\n")) == ["aaaa"]


@pytest.mark.parametrize("again", [1, 2])
def test_a_line_that_is_sent_again_at_once_is_given_once(again: int) -> None:
    """An engine that hears twice that it has changed its file, before a second line is in it."""
    for line in ([_frame(S, "a\n")], [_frame(S, "a, "), _frame(S, "a, "), _frame(S, "b\n")]):
        log = DockerLog(None)
        once = _read(log, *line)
        assert _read(log, *line * again, _frame(2 * S, "c\n")) == ["c"]
        assert _read(DockerLog(None), *line, *line * again, _frame(2 * S, "c\n")) == [*once, "c"]


def test_the_end_of_a_long_line_that_is_sent_again_is_given_once() -> None:
    """Where a file of the engine begins in the middle of one."""
    line = [_frame(S, "a, "), _frame(S, "a, "), _frame(S, "b\n")]
    assert _read(DockerLog(None), *line, *line[1:], *line[2:], _frame(2 * S, "c\n")) == ["a, a, b", "c"]


def test_a_clock_that_was_set_back_loses_no_line() -> None:
    frames = [_frame(at * S, f"{at}\n") for at in (3600, 3601, 1, 2, 3602)]
    assert _read(DockerLog(None), *frames) == ["3600", "3601", "1", "2", "3602"]


def test_lines_before_since_are_left_out() -> None:
    log = DockerLog(START + timedelta(seconds=2))
    assert _read(log, *[_frame(at * S, f"{at}\n") for at in (1, 2, 3)]) == ["2", "3"]
    assert DockerLog(START).start_again() == START


def test_a_line_goes_on_where_the_engine_hung_up() -> None:
    log, pieces = DockerLog(None), [_frame(S, "one, "), _frame(S, "two, "), _frame(S, "three\n")]
    assert _read(log, pieces[0], pieces[1], pieces[2][:-3]) == []
    log.start_again()
    assert _read(log, *pieces) == ["one, two, three"]


def test_many_quick_lines_before_a_hang_up_are_not_given_twice() -> None:
    log, frames = DockerLog(None), [_frame(S + number, f"{number}\n") for number in range(50_000)]
    assert len(_read(log, *frames)) == 50_000
    log.start_again()
    assert _read(log, *frames) == []


def test_all_that_one_file_holds_is_remembered() -> None:
    """An engine that hears late of a file it has changed already sends all of that once more."""
    row = {"log": "\n", "stream": "stdout", "time": "2026-12-01T18:06:11.690995Z"}
    in_a_file = LOG_FILE_MIB * 1024**2 // len(json.dumps(row, separators=(",", ":")) + "\n")
    assert in_a_file <= docker_log._REMEMBERED


@pytest.mark.parametrize("before", [1000, 1999, 2000, 2001, 2500])
def test_as_many_as_are_remembered_are_given_once_and_count_once(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_log, "_REMEMBERED", 1000)
    frames = [_frame(S + number, f"{number}\n") for number in range(before)]
    read: list[int] = []
    log = DockerLog(None, lambda moment, size: read.append(1 if moment else 0))
    found = _read(log, *frames, *frames[-1000:], _frame(2 * S, "more\n"))
    assert found == [*map(str, range(before)), "more"]
    assert sum(read) == before + 1


def test_the_last_line_needs_no_end() -> None:
    log = DockerLog(None)
    assert _read(log, _frame(S, "bye")) == []
    assert list(log.end()) == [LogLine(START + timedelta(seconds=1), "stdout", "bye")]


def test_what_is_sent_three_times_is_given_once() -> None:
    log, frames = DockerLog(None), [_frame(S, "long line\n"), _frame(S + 5, "after\n"), _frame(S + 6, "e\n", "stderr")]
    assert _read(log, *frames, *frames) == ["long line", "after", "e"]
    log.start_again()
    assert _read(log, *frames, *frames, _frame(S + 7, "new\n")) == ["new"]


def test_what_the_engine_dropped_unread_is_said() -> None:
    log, frames = DockerLog(None), [_frame(at * S, f"{at}\n") for at in range(1, 6)]
    assert _read(log, *frames[:3]) == ["1", "2", "3"]
    log.start_again()
    assert _read(log, frames[2], frames[3]) == ["4"]
    log.start_again()
    assert _read(log, frames[4]) == [MISSING, "5"]
    log.start_again()
    assert _read(log, frames[4]) == []


def test_a_follower_that_is_far_behind_stops_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_log, "_LOOK_EVERY", 1000)
    log, late = DockerLog(None), time.time_ns() - START_NS - 600 * S
    frames = [_frame(late + number, f"{number}\n") for number in range(2500)]
    answer = BytesIO(b"".join(frames))
    assert len(list(log.lines(answer.read, follows=True))) == 2000
    assert log.late
    log.start_again()
    assert _read(log, *frames) == [str(number) for number in range(2000, 2500)]
    assert not log.late


def test_each_frame_is_told_once() -> None:
    told: list[tuple[int | None, int]] = []
    log = DockerLog(None, lambda moment, size: told.append((moment and moment - START_NS, size)))
    _read(log, _frame(S, "one\n"), _frame(2 * S, "two, "), _frame(2 * S, "three\n"))
    assert told == [(S, 4), (2 * S, 5), (None, 6)]
    log.start_again()
    _read(log, _frame(S, "one\n"), _frame(2 * S, "two, "), _frame(2 * S, "three\n"), _frame(2 * S + 7, "four\n"))
    assert told[3:] == [(0, 4), (0, 5), (0, 6), (2 * S + 7, 5)]
    assert (log.frames, log.size) == (4, 20)


def test_of_a_line_longer_than_what_the_engine_keeps_the_end_is_seen() -> None:
    log, piece = DockerLog(None), _frame(S, "x" * 16_000)
    assert [line[:3] for line in _read(log, *[piece] * 50)] == ["xxx"]
    log.start_again()
    assert _read(log, *[piece] * 30, _frame(S, "x\n"), _frame(2 * S, "next\n")) == ["next"]
    log.start_again()
    assert _read(log, *[piece] * 20, _frame(S, "x\n"), _frame(2 * S, "next\n"), _frame(3 * S, "last\n")) == ["last"]


def test_a_line_whose_end_was_dropped_takes_no_other_with_it() -> None:
    log, piece = DockerLog(None), _frame(S, "x" * 16_000)
    assert [line[:3] for line in _read(log, *[piece] * 3, _frame(2 * S, "next\n"))] == ["xxx", "nex"]

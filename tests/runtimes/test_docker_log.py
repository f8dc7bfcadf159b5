"""The engine's frames of a log: each counts once, in whatever pieces and repetitions they arrive."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

from runtimes.base import LogLine
from runtimes.docker_log import DockerLog

START = datetime(2026, 1, 1, tzinfo=UTC)


def _frame(nanoseconds: int, text: str, stream: str = "stdout") -> bytes:
    at = START + timedelta(seconds=nanoseconds // 10**9)
    data = f"{at:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z {text}".encode()
    return bytes([2 if stream == "stderr" else 1, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def _read(log: DockerLog, *frames: bytes) -> list[str]:
    return [line.text for line in log.lines(BytesIO(b"".join(frames)).read)]


S = 10**9


def test_frames_sent_twice_are_given_once() -> None:
    log = DockerLog(None)
    once = [_frame(S, "a\n"), _frame(2 * S, "b\n"), _frame(2 * S + 1, "c\n"), _frame(3 * S // 2, "d\n", "stderr")]
    later = [_frame(2 * S + 2, "e\n"), _frame(3 * S, "f\n")]
    assert _read(log, *once, *once, *later) == ["a", "b", "c", "d", "e", "f"]
    assert log.start_again() == START + timedelta(seconds=2)
    assert _read(log, *once[1:3], *later, _frame(3 * S + 1, "g\n"), _frame(2 * S, "h\n", "stderr")) == ["g", "h"]


def test_equal_lines_at_one_time_are_all_given() -> None:
    assert _read(DockerLog(None), *[_frame(S, "a\n")] * 3) == ["a", "a", "a"]


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


def test_the_last_line_needs_no_end() -> None:
    log = DockerLog(None)
    assert _read(log, _frame(S, "bye")) == []
    assert list(log.end()) == [LogLine(START + timedelta(seconds=1), "stdout", "bye")]


def test_what_is_sent_three_times_is_given_once() -> None:
    log, frames = DockerLog(None), [_frame(S, "long line\n"), _frame(S + 5, "after\n"), _frame(S + 6, "e\n", "stderr")]
    assert _read(log, *frames, *frames) == ["long line", "after", "e"]
    log.start_again()
    assert _read(log, *frames, *frames, _frame(S + 7, "new\n")) == ["new"]

"""The one table from the SDK's errors to ours, and lines that the engine sends twice."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
import urllib3
from docker import errors

from runtimes.base import EngineRefused, EngineUnreachable, ImageMissing, LogLine, RuntimeFailure
from runtimes.docker_answers import FreshLines, seconds_of, usage_of
from runtimes.docker_engine import Absent, Conflict, translated


def _answer(status: int, kind: type[errors.APIError] = errors.APIError) -> errors.APIError:
    response = requests.Response()
    response.status_code = status
    return kind("failed", response=response, explanation="the engine's words")


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (_answer(404, errors.ImageNotFound), ImageMissing),
        (_answer(404, errors.NotFound), Absent),
        (_answer(409), Conflict),
        (_answer(400), EngineRefused),
        (_answer(500), EngineRefused),
        (_answer(502), EngineUnreachable),
        (_answer(503), EngineUnreachable),
        (requests.exceptions.ConnectionError("gone"), EngineUnreachable),
        (requests.exceptions.ReadTimeout("slow"), EngineUnreachable),
        (requests.exceptions.ChunkedEncodingError("broken"), EngineUnreachable),
        (urllib3.exceptions.ProtocolError("broken"), EngineUnreachable),
        (errors.InvalidVersion("too old"), EngineRefused),
        (errors.DockerException("no version"), EngineUnreachable),
    ],
)
def test_each_error_has_one_of_ours(error: Exception, ours: type[RuntimeFailure]) -> None:
    assert type(translated(error)) is ours


def test_an_error_500_to_a_question_says_nothing_about_the_container() -> None:
    assert type(translated(_answer(500), reading=True)) is EngineUnreachable
    assert type(translated(_answer(404, errors.NotFound), reading=True)) is Absent


def test_the_engines_own_words_are_kept() -> None:
    assert "the engine's words" in str(translated(_answer(400)))


def test_a_bug_stays_a_bug() -> None:
    bug = KeyError("x")
    assert translated(bug) is bug


START = datetime(2026, 1, 1, tzinfo=UTC)


def _line(second: float, text: str, stream: str = "stdout") -> LogLine:
    return LogLine(START + timedelta(seconds=second), stream, text)


def test_lines_sent_twice_are_given_once() -> None:
    fresh = FreshLines(None)
    once = [_line(1, "a"), _line(2, "b"), _line(2, "c"), _line(1.5, "d", "stderr")]
    later = [_line(2, "e"), _line(3, "f")]
    assert list(filter(fresh.takes, [*once, *once, *later])) == [*once, *later]
    since = fresh.start_again()
    assert since is not None
    assert since < later[-1].at
    end = [_line(3, "g"), _line(4, "h")]
    assert list(filter(fresh.takes, [_line(2, "b"), _line(2, "c"), *later, *end])) == end


def test_equal_lines_at_one_time_are_all_given() -> None:
    lines = [_line(1, "a"), _line(1, "a"), _line(1, "a")]
    assert list(filter(FreshLines(None).takes, lines)) == lines


def test_a_clock_that_was_set_back_loses_no_line() -> None:
    fresh = FreshLines(None)
    lines = [_line(3600, "a"), _line(3601, "b"), _line(1, "c"), _line(2, "d"), _line(3601, "e")]
    assert list(filter(fresh.takes, lines)) == lines


def test_lines_before_since_are_left_out() -> None:
    fresh = FreshLines(START + timedelta(seconds=2))
    assert [line.text for line in [_line(1, "a"), _line(2, "b"), _line(3, "c")] if fresh.takes(line)] == ["b", "c"]
    assert FreshLines(START).start_again() == START


def test_a_time_is_written_without_rounding() -> None:
    assert seconds_of(datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)) == "1795262400.123456000"
    assert seconds_of(None) is None


@pytest.mark.parametrize("name", ["total_inactive_file", "inactive_file"])
def test_memory_is_without_page_cache_in_both_cgroup_versions(name: str) -> None:
    stats = {
        "read": "2026-11-21T12:00:00.5Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 1000, "stats": {name: 400}},
    }
    usage = usage_of(stats)
    assert usage is not None
    assert (usage.cpu_seconds, usage.memory) == (2.5, 600)


def test_a_container_that_does_not_run_has_no_counters() -> None:
    assert usage_of({"read": "0001-01-01T00:00:00Z", "memory_stats": {}, "cpu_stats": {}}) is None

"""The one table from the SDK's errors to ours, and lines that the engine sends twice."""

from datetime import UTC, datetime

import pytest
import requests
import urllib3
from docker import errors

from runtimes.base import EngineRefused, EngineUnreachable, ImageMissing, RuntimeFailure
from runtimes.docker_answers import seconds_of, usage_of
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

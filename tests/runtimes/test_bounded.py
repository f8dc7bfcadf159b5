"""Calls that hang, drip or are given up."""

import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest

from runtimes.base import EngineUnreachable
from runtimes.bounded import Bounded


class _Answer:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_the_answer_and_the_error_come_through() -> None:
    bounded = Bounded(5)
    assert bounded.call(lambda: 7) == 7
    error = KeyError("x")

    def fail() -> NoReturn:
        raise error

    with pytest.raises(KeyError) as raised:
        bounded.call(fail)
    assert raised.value is error


def test_a_call_that_hangs_is_given_up_and_its_late_answer_closed() -> None:
    release, answer = threading.Event(), _Answer()

    def slow() -> _Answer:
        release.wait(20)
        return answer

    with pytest.raises(EngineUnreachable):
        Bounded(0.05).call(slow)
    assert not answer.closed.is_set()
    release.set()
    assert answer.closed.wait(20)


def test_one_limit_covers_all_calls_of_a_verb() -> None:
    bounded, never = Bounded(30), threading.Event()
    with bounded.within(0.05):
        with pytest.raises(EngineUnreachable), bounded.within(20):
            bounded.call(lambda: never.wait(20))
        with pytest.raises(EngineUnreachable):
            bounded.call(lambda: pytest.fail("called after its time was up"))
    assert bounded.call(lambda: 1) == 1
    never.set()


def test_calls_that_hang_cannot_pile_up() -> None:
    bounded, release = Bounded(0.05, threads=2), threading.Event()
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            bounded.call(lambda: release.wait(20))
    started: list[int] = []
    with pytest.raises(EngineUnreachable):
        bounded.call(lambda: started.append(1))
    assert started == []
    release.set()


def test_a_lock_held_by_a_stuck_call_is_not_waited_for_for_ever() -> None:
    bounded, lock = Bounded(0.05), threading.Lock()
    with lock, pytest.raises(EngineUnreachable), bounded.within(), bounded.locked(lock):
        pytest.fail("got the lock")
    with bounded.within(), bounded.locked(lock):
        assert lock.locked()
    assert not lock.locked()


def test_a_stream_gives_its_items_and_its_error() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("x")

    stream = Bounded(5).stream(items(), 20)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError):
        next(stream)
    assert list(Bounded(5).stream(iter([1, 2]), 20)) == [1, 2]


def test_a_quiet_stream_ticks_and_ends() -> None:
    release, ended = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            release.wait(20)
            yield 1
        finally:
            ended.set()

    stream = Bounded(5).stream(items(), 1.5)
    assert next(stream) is None
    with pytest.raises(EngineUnreachable):
        list(stream)
    release.set()
    assert ended.wait(20)

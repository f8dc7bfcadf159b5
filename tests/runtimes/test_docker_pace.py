"""A container writes no faster than its log is read, and never stands still because nobody reads."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from runtimes import docker_pace
from runtimes.base import EngineRefused
from runtimes.docker_pace import AHEAD, PIECE, ROW, Pace
from tests.callers import eventually

TEXT = b"a line of forty characters, and its end\n"


class Output:
    """A container that writes all the time while somebody listens."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.heard = 0
        self.closed = threading.Event()

    def read(self) -> bytes:
        if self.closed.is_set():
            return b""
        self.heard += 1
        return self._piece

    def close(self) -> None:
        self.closed.set()

    @property
    def weight(self) -> int:
        """Of what was heard but for the last piece, which comes before it is known to be too much."""
        return (self.heard - 1) * (len(self._piece) + ROW * self._piece.count(b"\n"))


@pytest.fixture
def output() -> Output:
    return Output(TEXT * (PIECE // len(TEXT) + 1))


@pytest.fixture
def pace(output: Output, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pace]:
    monkeypatch.setattr(docker_pace, "HELD", 600)
    with Pace(lambda: output) as pace:
        yield pace
    assert output.closed.is_set()


@pytest.fixture
def hurried(output: Output, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pace]:
    """It holds nothing for long."""
    monkeypatch.setattr(docker_pace, "HELD", 0.01)
    with Pace(lambda: output) as pace:
        yield pace


def test_it_writes_ahead_of_its_reader_and_then_waits(pace: Pace, output: Output) -> None:
    heard = settled(lambda: output.heard)
    assert output.weight <= AHEAD
    reads(pace, 10_000)
    eventually(lambda: output.heard > heard, "more once that was read")
    settled(lambda: output.heard)
    assert output.weight <= AHEAD + 10_000 * (ROW + len(TEXT))


def test_what_was_written_before_somebody_listened_does_not_count(pace: Pace, output: Output) -> None:
    settled(lambda: output.heard)
    reads(pace, 10_000, at=1)
    settled(lambda: output.heard)
    assert output.weight <= AHEAD


def test_of_a_long_line_every_row_counts(pace: Pace, output: Output) -> None:
    heard = settled(lambda: output.heard)
    for _ in range(100):
        pace.took(None, 16_384)
    eventually(lambda: output.heard > heard, "more once that was read")


def test_a_reader_that_stands_still_only_slows_it_down(hurried: Pace, output: Output) -> None:
    eventually(lambda: output.weight > 10 * AHEAD, "ten times as much as may be ahead")


def test_while_it_holds_nothing_passes_but_slowly(pace: Pace, output: Output) -> None:
    pace.holds = True
    settled(lambda: output.heard)
    reads(pace, 10_000)
    heard = settled(lambda: output.heard)
    pace.holds = False
    eventually(lambda: output.heard > heard, "more when it does not")


def test_an_engine_that_sends_no_row_of_what_is_written_is_given_up(hurried: Pace, output: Output) -> None:
    gave_up = threading.Event()
    hurried.give_up = gave_up.set
    eventually(lambda: output.heard > 100, "a lot that the reader has no time for")
    assert not gave_up.is_set()
    hurried.waits = True
    eventually(gave_up.is_set, "the end of its patience")


def test_it_listens_again_to_what_could_not_be_listened_to(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_pace, "AGAIN", 0.01)
    answers: list[Callable[[], Output]] = [lambda: output, frozen, frozen]
    with Pace(lambda: answers.pop()()):
        eventually(lambda: output.heard, "the first piece")


def frozen() -> Output:
    raise EngineRefused("it is paused")


def test_it_ends_while_the_container_is_held(pace: Pace, output: Output) -> None:
    settled(lambda: output.heard)
    threads = [thread for thread in threading.enumerate() if thread.name == "pace"]
    pace.__exit__()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def reads(pace: Pace, rows: int, at: int | None = None) -> None:
    for _ in range(rows):
        pace.took(time.time_ns() if at is None else at, len(TEXT))


def settled(value: Callable[[], int]) -> int:
    """As soon as it has stayed the same for a while, and is not 0."""
    while True:
        before = value()
        time.sleep(0.2)
        if before == value() != 0:
            return before

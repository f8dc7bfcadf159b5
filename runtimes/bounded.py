"""Puts a hard limit on calls to an engine that may never answer, or answer one byte at a time for ever."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from runtimes.base import EngineUnreachable

T = TypeVar("T")


class _Call(Generic[T]):
    """One call in a thread of its own, whose answer is thrown away when nobody waits for it any more.

    Not an executor: its threads are joined when the interpreter exits, and a stuck one would hold it up.
    """

    def __init__(self, work: Callable[[], T], done: Callable[[], None]) -> None:
        self._work, self._done = work, done
        self._lock = threading.Lock()
        self._abandoned = False
        self._answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True, name="engine-call").start()

    def _run(self) -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (self._work(), None)
        except BaseException as error:
            outcome = (None, error)
        finally:
            self._done()
        with self._lock:
            if not self._abandoned:
                self._answer.put(outcome)
                return
        _close(outcome[0])

    def wait(self, seconds: float) -> T:
        try:
            value, error = self._answer.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            self._abandon()
            raise EngineUnreachable("The container engine did not answer in time.") from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def _abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            with suppress(queue.Empty):
                _close(self._answer.get_nowait()[0])


class Bounded:
    """Runs calls with one limit for a whole verb; at most `threads` calls may hang before it refuses."""

    def __init__(self, seconds: float, threads: int = 256) -> None:
        self.seconds = seconds
        self._free = threading.BoundedSemaphore(threads)
        self._verb = threading.local()

    @contextmanager
    def within(self, seconds: float | None = None) -> Iterator[None]:
        """Everything called inside shares one limit; an inner `within` may only shorten it."""
        outer = getattr(self._verb, "until", None)
        until = time.monotonic() + (seconds or self.seconds)
        self._verb.until = until if outer is None else min(outer, until)
        try:
            yield
        finally:
            self._verb.until = outer

    def left(self) -> float:
        """Seconds left to the verb running in this thread."""
        until = getattr(self._verb, "until", None)
        return self.seconds if until is None else float(until - time.monotonic())

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; EngineUnreachable when the time is up."""
        left = self.left()
        if left <= 0 or not self._free.acquire(timeout=left):
            raise EngineUnreachable("The container engine did not answer in time.")
        return _Call(work, self._free.release).wait(left)

    def stream(self, items: Iterable[T], seconds: float) -> Iterator[T | None]:
        """Items as they come, and None each second without one, so that the reader can give up."""
        until, given_up = time.monotonic() + seconds, threading.Event()
        arrived: queue.SimpleQueue[tuple[list[T], BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(items, arrived, given_up), daemon=True, name="engine-stream").start()
        try:
            while time.monotonic() < until:
                try:
                    batch, error = arrived.get(timeout=1)
                except queue.Empty:
                    yield None
                    continue
                yield from batch
                if error is not None:
                    raise error
                if not batch:
                    return
            raise EngineUnreachable("The container engine did not finish in time.")
        finally:
            given_up.set()

    @contextmanager
    def locked(self, lock: threading.Lock) -> Iterator[None]:
        """Hold `lock`; EngineUnreachable when another call holds it until the time is up."""
        if not lock.acquire(timeout=max(self.left(), 0)):
            raise EngineUnreachable("An earlier call to the container engine is still waiting for its answer.")
        try:
            yield
        finally:
            lock.release()


def _pump(
    items: Iterable[T],
    arrived: "queue.SimpleQueue[tuple[list[T], BaseException | None]]",
    given_up: threading.Event,
) -> None:
    try:
        for item in items:
            if given_up.is_set():
                return
            arrived.put(([item], None))
        arrived.put(([], None))
    except BaseException as error:
        arrived.put(([], error))
    finally:
        _close(items)


def _close(value: Any) -> None:
    close = getattr(value, "close", None)
    if callable(close):
        with suppress(Exception):
            close()

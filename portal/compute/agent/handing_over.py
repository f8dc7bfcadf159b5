"""Lines on their way from the thread that reads a log to the one that writes it."""

import threading

from runtimes.base import LogLine

LARGEST = 4 * 1024**2
_LINE = 200


class Belt:
    """Holds about LARGEST characters; whoever puts more waits until some are taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[LogLine] = []
        self._size = 0
        self._ended = False
        self._failure: Exception | None = None

    def put(self, line: LogLine) -> bool:
        """False when nobody takes any more."""
        with self._changed:
            while self._size >= LARGEST and not self._ended:
                self._changed.wait()
            if self._ended:
                return False
            self._lines.append(line)
            self._size += _LINE + len(line.text)
            if len(self._lines) == 1:
                self._changed.notify_all()
            return True

    def end(self, failure: Exception | None = None) -> None:
        """Nothing more is put, or nothing more taken; who takes gets what is left, and then the failure."""
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify_all()

    def take(self, seconds: float) -> list[LogLine] | None:
        """All that lies there, after waiting for it at most so long; None at the end."""
        with self._changed:
            if not self._lines and not self._ended:
                self._changed.wait(seconds)
            lines, self._lines, self._size = self._lines, [], 0
            self._changed.notify_all()
            if lines or not self._ended:
                return lines
        if self._failure:
            raise self._failure
        return None

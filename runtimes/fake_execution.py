"""A program of the fake driver: it says what it was asked to run, then repeats its input until that ends."""

import queue

from runtimes.base import Command


class FakeExecution:
    """See Execution; its exit code is 0."""

    def __init__(self, command: Command) -> None:
        self._output: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._output.put((" ".join(command.arguments) + "\n").encode())

    def read(self) -> tuple[str, bytes] | None:
        data = self._output.get()
        return None if data is None else ("stdout", data)

    def write(self, data: bytes) -> None:
        self._output.put(data)

    def end_input(self) -> None:
        self._output.put(None)

    def resize(self, columns: int, rows: int) -> None:
        self._output.put(f"{columns} x {rows}\n".encode())

    def exit_code(self) -> int:
        return 0

    def close(self) -> None:
        self._output.put(None)

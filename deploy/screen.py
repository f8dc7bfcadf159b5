"""What `make run` and `make test` say: numbered steps with their time, and one sentence when something stops them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stopped(Exception):
    """Nothing more can be done; the message says why and names the next step. `log` ends with the details."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


def say(text: str = "") -> None:
    print(text, flush=True)


class Steps:
    """Numbers the steps of one run: `2/6 Python environment …  12 s`."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done = total, done

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.done += 1
        print(f"{self.done}/{self.total} {title} … ", end="", flush=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            print(flush=True)
            raise
        print(f" {time.monotonic() - began:.0f} s", flush=True)


def last_lines(path: Path, count: int = 15) -> list[str]:
    if not path.exists():
        return []
    return path.read_text(errors="replace").splitlines()[-count:]


def explain(stopped: Stopped) -> None:
    """Print the end of its log, then the sentence, which is the last thing a person reads."""
    if stopped.log and (lines := last_lines(stopped.log)):
        print(f"\nThe end of {stopped.log}:", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)
    print(f"\n{stopped}", file=sys.stderr, flush=True)

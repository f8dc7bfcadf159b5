"""A PostgreSQL and a Redis for as long as one command runs: `python -m deploy.services [--data DIR] -- COMMAND…`

The command finds them in DATABASE_URL and REDIS_URL. Without --data they are empty at the start and gone at the end."""

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy import postgres, redis
from deploy.screen import Stopped, explain

START_SECONDS = 60


@contextmanager
def running(data: Path, *, durable: bool = True) -> Iterator[dict[str, str]]:
    """Both servers on `data`; yields the settings that reach them. After it, neither runs and the data stays.

    What is not `durable` is of no use afterwards: then both end at once, and write nothing.
    """
    data = data.resolve()
    (data / "log").mkdir(parents=True, exist_ok=True)
    postgres.prepare(data)
    redis.prepare(data)
    with ExitStack() as servers:
        command = redis.serve(data, durable=durable)
        servers.enter_context(_server("redis", command, redis.ready, data, signal.SIGTERM))
        command = postgres.serve(data, durable=durable)
        end = signal.SIGINT if durable else signal.SIGQUIT
        servers.enter_context(_server("postgres", command, postgres.ready, data, end))
        yield {"BERTH_DATA": str(data), "DATABASE_URL": postgres.url(data), "REDIS_URL": redis.url(data)}


@contextmanager
def temporary() -> Iterator[dict[str, str]]:
    """As `running`, on a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="berth-") as name:
        Path(name).chmod(0o711)
        with running(Path(name), durable=False) as settings:
            yield settings


@contextmanager
def _server(
    name: str, command: list[str], ready: Callable[[Path], bool], data: Path, end: signal.Signals
) -> Iterator[None]:
    log = data / "log" / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(name, process, ready, data, log)
        yield
    finally:
        process.send_signal(end)
        process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], ready: Callable[[Path], bool], data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready(data):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Stopped(f"{name} did not start.", log)
        time.sleep(0.05)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.services", description=__doc__)
    parser.add_argument("--data", type=Path, help="keep the data in this folder")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        with running(arguments.data) if arguments.data else temporary() as settings:
            return subprocess.run(arguments.command, env={**os.environ, **settings}, check=False).returncode
    except Stopped as stopped:
        explain(stopped)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())

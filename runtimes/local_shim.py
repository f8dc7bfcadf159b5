"""Supervises one local process: outlives whoever started it, keeps its log and its exit code.

Run as `python -m runtimes.local_shim FOLDER`; FOLDER holds `start.json`, and gets `process.json`, `log`
and, at the end, `exit.json`. What the process leaves running ends with it, as in a container.
"""

import ctypes
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from runtimes.lines import LineSplitter, Piece
from runtimes.local_log import LogWriter

_TICK = 0.1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Readers see the old file or the new one, never half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def main(folder: Path) -> None:
    # The starter waits for the first process only, so that this one is nobody's zombie later.
    if os.fork():
        os._exit(0)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    # Held to the end: a second supervisor, of a starter that knew nothing of this one, leaves at once.
    with lock:
        if not (folder / "process.json").exists():
            _supervise(folder)


def _supervise(folder: Path) -> None:
    _linux_only(_PR_SET_CHILD_SUBREAPER, 1)
    log = LogWriter(folder)
    start = json.loads((folder / "start.json").read_text())
    try:
        child = _spawn(start)
    except OSError as error:
        log.write("stderr", [Piece(str(error))])
        _record_end(folder, 127, str(error))
    else:
        _record_start(folder, child)
        _copy_output(child, log)
        _record_end(folder, child.returncode, "")


def _spawn(start: dict[str, Any]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        start["command"],
        cwd=start["cwd"],
        env=start["environment"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Without its supervisor nobody would learn how it ended.
        preexec_fn=lambda: _linux_only(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )


def _linux_only(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _record_start(folder: Path, child: "subprocess.Popen[bytes]") -> None:
    started = {"shim": _identity(os.getpid()), "process": _identity(child.pid)}
    write_whole(folder / "process.json", started | {"started_at": datetime.now(UTC).isoformat()})


def _identity(pid: int) -> list[float]:
    """A pid alone may be another process's later; with its start time it is not."""
    return [pid, psutil.Process(pid).create_time()]


def _record_end(folder: Path, returned: int, error: str) -> None:
    code = returned if returned >= 0 else 128 - returned
    ended = {"exit_code": code, "finished_at": datetime.now(UTC).isoformat(), "error": error}
    write_whole(folder / "exit.json", ended)


def _copy_output(child: "subprocess.Popen[bytes]", log: LogWriter) -> None:
    """Until both outputs are closed, which is at the latest when nothing is left to hold them open."""
    watched = selectors.DefaultSelector()
    for stream, pipe in (("stdout", child.stdout), ("stderr", child.stderr)):
        watched.register(pipe or sys.stdin, selectors.EVENT_READ, (stream, LineSplitter()))
    while watched.get_map() or child.poll() is None:
        if not watched.get_map():
            time.sleep(_TICK)
        for key, _ in watched.select(_TICK) if watched.get_map() else []:
            _copy_piece(watched, key, log)
        _reap_others(child.pid)
        if child.poll() is not None:
            _end_the_rest()


def _copy_piece(watched: selectors.BaseSelector, key: selectors.SelectorKey, log: LogWriter) -> None:
    stream, splitter = key.data
    data = os.read(key.fd, 65536)
    lines = splitter.feed(data) if data else splitter.end()
    if lines:
        log.write(stream, lines)
    if not data:
        watched.unregister(key.fileobj)


def _reap_others(pid: int) -> None:
    """Orphans end up here; the process itself is left for `poll`."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, options)) and ended.si_pid != pid:
            os.waitpid(ended.si_pid, 0)


def _end_the_rest() -> None:
    for left in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            left.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

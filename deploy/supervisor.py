"""Talking to supervisord: start it, ask it, start and stop what it looks after, and end what a killed one left."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from deploy.configuration import Configuration
from deploy.processes import SERVICES, socket_path, supervisor_configuration
from deploy.python_environment import ROOT, VENV
from deploy.screen import Stopped
from deploy.sockets import run_directory

ANSWER_SECONDS = 15


class Supervisor:
    """One supervisord with all of Berth's processes below it, in a session of its own.

    The kernel sends it TERM when `make run` itself is killed, so that nothing runs on unattended."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.log = configuration.data / "log" / "supervisor.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """After it, supervisord answers and runs nothing yet; what an earlier one left has been ended."""
        data = self.configuration.data
        end_leftovers(data)
        socket_path(data).unlink(missing_ok=True)
        path = run_directory(data) / "supervisord.conf"
        path.write_text(supervisor_configuration(self.configuration))
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", str(VENV / "bin/supervisord"), "-c", str(path)],
            env=self.configuration.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _remember_session(data, self.process.pid)
        self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and self.alive():
            try:
                self._call("getState")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise Stopped("The supervisor does not start.", self.log)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def run(self, names: Iterable[str]) -> None:
        """Start these in order, without waiting for any to be up."""
        for name in names:
            try:
                self._call("startProcess", name, False)
            except Fault as fault:
                if "ALREADY_STARTED" not in fault.faultString:
                    raise

    def states(self) -> dict[str, str]:
        """RUNNING, STARTING, BACKOFF (it fails and is tried again), FATAL (given up) and so on, by process."""
        return {entry["name"]: entry["statename"] for entry in self._call("getAllProcessInfo")}

    def pid(self, name: str) -> int:
        """0 while it does not run."""
        return int(self._call("getProcessInfo", name)["pid"])

    def stop(self) -> None:
        """End Berth's processes, then the services they use, then supervisord; after it, nothing of them is left."""
        if self.process and self.alive():
            self._stop_users_of_services()
            self.process.terminate()
            self.process.wait()
        end_leftovers(self.configuration.data)

    def _stop_users_of_services(self) -> None:
        """All at once, so that stopping takes as long as the slowest and not as long as all together."""
        lively = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}
        try:
            for name, state in reversed(self.states().items()):
                if name not in SERVICES and state in lively - {"STOPPING"}:
                    self._call("stopProcess", name, False)
            while any(state in lively for name, state in self.states().items() if name not in SERVICES):
                time.sleep(0.1)
        except (OSError, Fault):
            return  # supervisord does the rest when it ends

    def kill(self) -> None:
        """At once and everything; PostgreSQL recovers when it is next started."""
        if self.process and self.alive():
            self.process.kill()
            self.process.wait()
        end_leftovers(self.configuration.data, patience=0)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{socket_path(self.configuration.data)}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _session_file(data: Path) -> Path:
    return run_directory(data) / "session.json"


def _remember_session(data: Path, session: int) -> None:
    _session_file(data).write_text(json.dumps({"session": session, "boot": _boot()}))


def end_leftovers(data: Path, patience: float = 10) -> None:
    """End what is left of the last supervisor's session: TERM, then KILL after `patience` seconds."""
    if not (processes := leftovers(data)):
        return
    _signal(processes, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (processes := leftovers(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal(processes, signal.SIGKILL)
    while leftovers(data):
        time.sleep(0.05)


def leftovers(data: Path) -> list[int]:
    """Processes of the session recorded for this data folder. A session's number is not given out again while one
    of its processes lives; that each also works in our folders rules out a number used anew after all had ended."""
    try:
        recorded = json.loads(_session_file(data).read_text())
    except (OSError, ValueError):
        return []
    if recorded["boot"] != _boot():
        return []
    return [pid for pid in _pids() if _session(pid) == recorded["session"] and _works_in(pid, (ROOT, data))]


def end_orphans(data: Path) -> None:
    """End the children of a process that was killed: their group's leader is gone, and they may still hold its port."""
    _signal([pid for pid in leftovers(data) if not _leader_lives(pid)], signal.SIGKILL)


def _leader_lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{os.getpgid(pid)}").exists()
    except ProcessLookupError:
        return True


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _session(pid: int) -> int | None:
    """None for a process that has ended, a zombie included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[3])


def _works_in(pid: int, folders: Iterable[Path]) -> bool:
    try:
        directory = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return any(directory.is_relative_to(folder.resolve()) for folder in folders)

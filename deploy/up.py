"""`make run`, second half: brings Berth up on this machine, says where it is, and stops it on Ctrl-C."""

import errno
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy import postgres, redis
from deploy.configuration import Configuration, read, write_environment
from deploy.processes import wanted
from deploy.python_environment import ROOT, VENV
from deploy.screen import Steps, Stopped, explain, say
from deploy.sockets import run_directory
from deploy.supervisor import Supervisor, end_leftovers, end_orphans

SERVICE_SECONDS = 90
READY_SECONDS = 120


class Ended(BaseException):
    """Somebody asked Berth to stop: Ctrl-C, TERM, or the terminal was closed."""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return _run(Steps(6, done=3))
    except Stopped as stopped:
        explain(stopped)
        return 1
    except Ended:
        return 0


def _end(_number: int, _frame: object) -> None:
    raise Ended


def _run(steps: Steps) -> int:
    try:
        configuration = read(os.environ)
    except ValueError:
        raise Stopped("BERTH_PORT and the BERTH_…_ADDRESS settings need port numbers, such as 8000.") from None
    with only_one(configuration):
        end_leftovers(configuration.data)
        check_ports(configuration)
        write_environment(configuration)
        supervisor = Supervisor(configuration)
        try:
            bring_up(supervisor, steps)
            watch(supervisor)
        finally:
            stop(supervisor)
    return 0


@contextmanager
def only_one(configuration: Configuration) -> Iterator[None]:
    """Hold this data folder for as long as Berth runs from it."""
    with (run_directory(configuration.data) / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stopped(
                f"Berth already runs from this folder: open {configuration.settings['BERTH_PORTAL_URL']}, "
                "or stop it with Ctrl-C where it was started."
            ) from None
        yield


def check_ports(configuration: Configuration) -> None:
    for name, (host, port) in configuration.addresses.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("" if name in ("gateway", "services") else host, port))
            except OSError as error:
                raise Stopped(_port_refused(port, error, configuration.port)) from None


def _port_refused(port: int, error: OSError, first: int) -> str:
    if error.errno == errno.EACCES:
        return f"This account may not listen on port {port}: choose one above 1023, as in `make run BERTH_PORT=8000`."
    return (
        f"Port {port} is taken by another program. Berth uses seven in a row, from {first}: "
        f"choose another first one, as in `make run BERTH_PORT={first + 1000}`."
    )


def bring_up(supervisor: Supervisor, steps: Steps) -> None:
    configuration = supervisor.configuration
    first_start = not _accounts_file(configuration).exists()
    with steps.step("PostgreSQL and Redis"):
        supervisor.start()
        supervisor.run(configuration.embedded)
        _wait_for_services(configuration)
    with steps.step("Tables, catalog and demo sign-ins"):
        prepare(configuration)
    with steps.step("Berth's processes"):
        supervisor.run([process.name for process in wanted(configuration)])
        _wait_until_ready(supervisor)
    announce(configuration, first_start)


def _wait_for_services(configuration: Configuration) -> None:
    ready = {"postgres": postgres.ready, "redis": redis.ready}
    deadline = time.monotonic() + SERVICE_SECONDS
    for name in configuration.embedded:
        while not ready[name](configuration.data):
            if time.monotonic() > deadline:
                raise Stopped(f"{name} does not start.", configuration.data / "log" / f"{name}.log")
            time.sleep(0.05)


def prepare(configuration: Configuration) -> None:
    """Its words go to a log and are shown only when it fails."""
    log = configuration.data / "log" / "prepare.log"
    command = [str(VENV / "bin/python"), "-m", "deploy.prepare"]
    with log.open("wb") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=configuration.environment, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        raise Stopped("The tables, the catalog or the demo sign-ins could not be made.", log)


def answers(configuration: Configuration) -> bool:
    """Asked on this machine, by the name the portal is known under: the gateway tells sites apart by it."""
    connection = http.client.HTTPConnection("127.0.0.1", configuration.port, timeout=5)
    try:
        name = urlsplit(configuration.settings["BERTH_PORTAL_URL"]).netloc
        connection.request("GET", "/readyz", headers={"Host": name})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_until_ready(supervisor: Supervisor) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers(supervisor.configuration):
        states = supervisor.states()
        if "FATAL" in states.values() or time.monotonic() > deadline:
            raise _not_up(supervisor.configuration, states)
        time.sleep(0.1)


def _not_up(configuration: Configuration, states: dict[str, str]) -> Stopped:
    """Names the process to look at: one that does not run, else the one that answers for all."""
    name = next((name for name, state in states.items() if state != "RUNNING"), "web")
    return Stopped(f"Berth did not come up: look at {name}.", configuration.data / "log" / f"{name}.log")


def _accounts_file(configuration: Configuration) -> Path:
    return configuration.data / "demo-accounts.json"


def announce(configuration: Configuration, first_start: bool) -> None:
    say(f"\nBerth runs: {configuration.settings['BERTH_PORTAL_URL']}\n")
    if _accounts_file(configuration).exists():
        accounts: dict[str, str] = json.loads(_accounts_file(configuration).read_text())
        say("Sign in as   with password")
        for name, password in accounts.items():
            say(f"  {name:<10} {password}")
        say()
    if first_start:
        say("Images are being built, JupyterLab's first; the catalog shows how far. Each can be launched once it is.")
    say(f"Logs: {configuration.data / 'log'}")
    say("Ctrl-C stops Berth. Files and settings stay, and so do workspaces that run: Berth finds them again.")


def watch(supervisor: Supervisor) -> None:
    """Until somebody ends it: what the supervisor gave up on is tried again, and so is the supervisor itself."""
    names = [process.name for process in wanted(supervisor.configuration)]
    while True:
        time.sleep(1)
        if not supervisor.alive():
            say("The supervisor was killed; starting everything again.")
            supervisor.start()
            supervisor.run(names)
        end_orphans(supervisor.configuration.data)
        try:
            given_up = [name for name, state in supervisor.states().items() if state == "FATAL"]
            supervisor.run(given_up)
        except OSError:
            continue
        for name in given_up:
            say(f"{name} keeps failing and is tried again; see {supervisor.configuration.data / 'log' / name}.log")


def stop(supervisor: Supervisor) -> None:
    """In reverse order; a second Ctrl-C does not wait any longer."""
    if not supervisor.alive():
        return
    say("\nStopping …")
    try:
        supervisor.stop()
    except Ended:
        supervisor.kill()
    say("Stopped.")


if __name__ == "__main__":
    sys.exit(main())

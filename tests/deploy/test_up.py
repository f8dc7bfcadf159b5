"""`make run`, second half, for real: Berth comes up, survives kills, is told apart from a second one, and ends whole."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.python_environment import ROOT
from deploy.supervisor import leftovers
from tests.deploy.conftest import Eventually

pytestmark = pytest.mark.e2e


def free_ports() -> int:
    """The first of four free ports in a row."""
    for first in range(21000, 32000, 10):
        probes = [socket.socket() for _ in range(4)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("", first + offset))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return first
    raise AssertionError("no four free ports in a row")


def start(data: Path, port: int) -> subprocess.Popen[str]:
    environment = os.environ | {"BERTH_DATA": str(data), "BERTH_PORT": str(port), "BERTH_RUNTIME": "fake"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "deploy.up"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says up to the line with these words."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended before it said {words!r}:\n{said}")


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def supervised(data: Path, name: str) -> int:
    """The process id behind a name, as supervisord wrote it into its log last."""
    lines = (data / "log" / "supervisor.log").read_text().splitlines()
    spawned = [line for line in lines if f"spawned: '{name}' with pid " in line]
    return int(spawned[-1].rpartition(" ")[2])


@pytest.fixture
def berth(data: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_ports()
    process = start(data, port)
    yield process, port
    if process.poll() is None:
        process.terminate()
    process.communicate()


def test_it_comes_up_shows_the_sign_ins_and_stops_whole(data: Path, berth: tuple[subprocess.Popen[str], int]) -> None:
    process, port = berth
    said = read_until(process, "Ctrl-C stops Berth")
    assert f"http://localhost:{port}" in said
    for name in ("scientist", "lead", "outsider", "admin"):
        assert f"  {name} " in said
    assert status(port, "/readyz") == 200
    process.send_signal(signal.SIGINT)
    assert "Stopped." in process.communicate()[0]
    assert process.returncode == 0
    assert leftovers(data) == []
    assert status(port, "/readyz") == 0


def test_killed_processes_come_back(
    data: Path, berth: tuple[subprocess.Popen[str], int], eventually: Eventually
) -> None:
    process, port = berth
    read_until(process, "Ctrl-C stops Berth")
    for name in ("web", "gateway", "worker", "postgres"):
        before = supervised(data, name)
        os.kill(before, signal.SIGKILL)
        eventually(lambda name=name, before=before: supervised(data, name) != before)  # type: ignore[misc]
        eventually(lambda: status(port, "/readyz") == 200)


def test_a_second_one_from_the_same_folder_is_refused(data: Path, berth: tuple[subprocess.Popen[str], int]) -> None:
    process, port = berth
    read_until(process, "Ctrl-C stops Berth")
    second = start(data, free_ports())
    said, _ = second.communicate()
    assert second.returncode == 1
    assert "already runs from this folder" in said
    assert status(port, "/readyz") == 200


def test_a_taken_port_is_named(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(data, port)
        said, _ = process.communicate()
    assert process.returncode == 1
    assert f"Port {port} is taken" in said
    assert "make run BERTH_PORT=" in said


def test_after_a_kill_of_everything_it_starts_again(data: Path, berth: tuple[subprocess.Popen[str], int]) -> None:
    process, _ = berth
    read_until(process, "Ctrl-C stops Berth")
    for pid in (supervised_parent(data), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    port = free_ports()
    again = start(data, port)
    try:
        read_until(again, "Ctrl-C stops Berth")
        assert status(port, "/readyz") == 200
    finally:
        again.terminate()
        again.communicate()
    assert leftovers(data) == []


def supervised_parent(data: Path) -> int:
    return int((data / "run" / "supervisor.pid").read_text())

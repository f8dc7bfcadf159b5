"""`make run`, second half, for real: Berth comes up, survives kills and ends whole."""

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
from tests.deploy.conftest import Eventually, data_folder, free_ports

pytestmark = pytest.mark.e2e
READY = "Ctrl-C stops Berth"


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


@pytest.fixture(scope="module")
def berth() -> Iterator[tuple[Path, int, str]]:
    """One that runs for several tests: its data folder, its port, and what it said."""
    with data_folder() as data:
        port = free_ports()
        process = start(data, port)
        yield data, port, read_until(process, READY)
        process.terminate()
        process.communicate()


def test_it_says_where_it_is_and_how_to_sign_in(berth: tuple[Path, int, str]) -> None:
    _, port, said = berth
    assert f"http://localhost:{port}" in said
    for name in ("scientist", "lead", "outsider", "admin"):
        assert f"  {name} " in said
    assert status(port, "/readyz") == 200


@pytest.mark.parametrize("name", ["web", "gateway", "worker", "postgres"])
def test_a_killed_process_comes_back(berth: tuple[Path, int, str], eventually: Eventually, name: str) -> None:
    data, port, _ = berth
    before = supervised(data, name)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: supervised(data, name) != before)
    eventually(lambda: status(port, "/readyz") == 200)


def test_a_second_one_from_the_same_folder_is_refused(berth: tuple[Path, int, str]) -> None:
    data, port, _ = berth
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


def test_after_a_kill_of_everything_it_starts_again_and_stops_whole(data: Path) -> None:
    first = start(data, free_ports())
    read_until(first, READY)
    for pid in (int((data / "run" / "supervisor.pid").read_text()), first.pid):
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    port = free_ports()
    second = start(data, port)
    read_until(second, READY)
    assert status(port, "/readyz") == 200
    second.send_signal(signal.SIGINT)
    assert "Stopped." in second.communicate()[0]
    assert second.returncode == 0
    assert leftovers(data) == []
    assert status(port, "/readyz") == 0

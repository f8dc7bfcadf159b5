"""`make run`, second half, for real: Berth comes up, survives kills and ends whole."""

import http.client
import json
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
from tests.callers import Caller, Server, cookies
from tests.deploy.conftest import Eventually, data_folder, processes_of
from tests.system import free_ports

pytestmark = pytest.mark.e2e
READY = "Ctrl-C stops Berth"
INSTALL_SECONDS = 600
"""For JupyterLab's Python packages, where none of them is in pip's cache."""


def environment(**settings: str) -> dict[str, str]:
    """Without the databases of the tests."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")} | settings


def start(data: Path, port: int, runtime: str = "fake") -> subprocess.Popen[str]:
    settings = environment(BERTH_DATA=str(data), BERTH_PORT=str(port), BERTH_RUNTIME=runtime)
    command = [sys.executable, "-m", "deploy.up"]
    return subprocess.Popen(
        command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def manage(data: Path, *arguments: str) -> str:
    """The last word that `manage.py …` prints."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(BERTH_DATA=str(data)), capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def home(data: Path, port: int, user: str) -> str:
    """The page that this person of the demo sees after signing in."""
    server, origin = Server("127.0.0.1", port), {"Origin": f"http://localhost:{port}"}
    csrf = cookies(server.send("GET", "localhost", "/sign-in/"))
    password = json.loads((data / "demo-accounts.json").read_text())[user]
    fields = {"username": user, "password": password, "csrfmiddlewaretoken": csrf.partition("=")[2]}
    signed_in = server.send_form("localhost", "/sign-in/", fields, Cookie=csrf, **origin)
    return server.send("GET", "localhost", "/", Cookie=cookies(signed_in)).body.decode()


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


def test_after_a_kill_of_everything_it_starts_again_with_all_it_had_and_stops_whole(data: Path) -> None:
    first = start(data, free_ports())
    said = read_until(first, READY)
    manage(data, "create_user", "grace", "--team", "compilers")
    accounts = (data / "demo-accounts.json").read_text()
    for pid in (int((data / "run" / "supervisor.pid").read_text()), first.pid):
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    port = free_ports()
    second = start(data, port)
    again = read_until(second, READY)
    assert status(port, "/readyz") == 200
    assert (data / "demo-accounts.json").read_text() == accounts
    assert all(password in said and password in again for password in json.loads(accounts).values())
    assert "Sign out" in home(data, port, "scientist")
    grace = Caller(Server("127.0.0.1", port), manage(data, "create_token", "grace"))
    assert [team["slug"] for team in grace.do("GET", "/me/")["teams"]] == ["compilers"]
    second.send_signal(signal.SIGINT)
    assert "Stopped." in second.communicate()[0]
    assert second.returncode == 0
    assert leftovers(data) == []
    assert status(port, "/readyz") == 0


def test_without_an_engine_jupyterlab_is_a_process_and_pages_say_that_nothing_is_isolated(
    data: Path, eventually: Eventually
) -> None:
    (data / "runtime").mkdir()
    (data / "runtime/.cache").symlink_to(Path.home() / ".cache")  # pip's home is there, and so is its cache
    port = free_ports()
    process = start(data, port, "local")
    try:
        read_until(process, READY)
        scientist = Caller(Server("127.0.0.1", port), manage(data, "create_token", "scientist"))
        assert "Not isolated, for trying out" in home(data, port, "scientist")
        lab = "/templates/jupyter-python/"
        eventually(lambda: scientist.do("GET", lab)["image_state"] == "ready", INSTALL_SECONDS)
        pk = scientist.launch("jupyter-python", "small")
        scientist.wait(pk, "running")
        assert "version" in scientist.visit(pk, "/api").json
        assert any("jupyter" in Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_of(data))
        scientist.delete_all()
        eventually(lambda: list((data / "runtime/containers").iterdir()) == [])
    finally:
        process.terminate()
        process.communicate()
    assert processes_of(data) == []

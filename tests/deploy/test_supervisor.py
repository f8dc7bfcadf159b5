"""The supervisor with real processes: what dies comes back, what is stopped is gone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import configuration, postgres, redis
from deploy.sockets import run_directory
from deploy.supervisor import Supervisor, end_leftovers, end_orphans, leftovers
from tests.deploy.conftest import Eventually

PROCFILE = """postgres: python -m deploy.postgres "$BERTH_DATA"
redis: python -m deploy.redis "$BERTH_DATA"
parent: sh -c 'sleep 1000 & echo $! > "$BERTH_DATA/child"; echo parent runs; wait'
"""
NAMES = ("postgres", "redis", "parent")


@pytest.fixture
def supervisor(data: Path) -> Iterator[Supervisor]:
    procfile = data / "Procfile"
    procfile.write_text(PROCFILE)
    found = Supervisor(replace(configuration.read({"BERTH_DATA": str(data)}), procfile=procfile))
    yield found
    found.kill()


def started(supervisor: Supervisor, eventually: Eventually) -> Path:
    data = supervisor.configuration.data
    supervisor.start()
    supervisor.run(NAMES)
    eventually(lambda: set(supervisor.states().values()) == {"RUNNING"})
    eventually(lambda: postgres.ready(data) and redis.ready(data) and (data / "child").exists())
    return data


def test_processes_write_their_own_logs_and_stop_completely(supervisor: Supervisor, eventually: Eventually) -> None:
    data = started(supervisor, eventually)
    eventually(lambda: "parent runs" in (data / "log" / "parent.log").read_text())
    assert len(leftovers(data)) > len(NAMES)
    supervisor.stop()
    assert not supervisor.alive()
    assert leftovers(data) == []
    assert not (data / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_comes_back(supervisor: Supervisor, eventually: Eventually, name: str) -> None:
    data = started(supervisor, eventually)
    before = supervisor.pid(name)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: supervisor.pid(name) not in (0, before))
    eventually(lambda: postgres.ready(data) and redis.ready(data))


def test_children_of_a_killed_process_do_not_stay(supervisor: Supervisor, eventually: Eventually) -> None:
    data = started(supervisor, eventually)
    child = int((data / "child").read_text())
    os.kill(supervisor.pid("parent"), signal.SIGKILL)
    eventually(lambda: int((data / "child").read_text() or child) != child)
    end_orphans(data)
    eventually(lambda: child not in leftovers(data))
    assert int((data / "child").read_text()) in leftovers(data)


def test_a_killed_supervisor_takes_its_processes_along(supervisor: Supervisor, eventually: Eventually) -> None:
    data = started(supervisor, eventually)
    assert supervisor.process
    supervisor.process.kill()
    supervisor.process.wait()
    eventually(lambda: not postgres.ready(data) and not redis.ready(data))
    end_leftovers(data)
    assert leftovers(data) == []


def test_starting_again_after_a_kill_keeps_data(supervisor: Supervisor, eventually: Eventually) -> None:
    data = started(supervisor, eventually)
    version = (data / "postgres" / "PG_VERSION").stat().st_mtime
    assert supervisor.process
    supervisor.process.kill()
    supervisor.process.wait()
    (data / "child").unlink()
    assert started(supervisor, eventually) == data
    assert (data / "postgres" / "PG_VERSION").stat().st_mtime == version


def test_a_foreign_process_in_the_same_folder_is_left_alone(supervisor: Supervisor, eventually: Eventually) -> None:
    data = started(supervisor, eventually)
    foreign = subprocess.Popen([sys.executable, "-c", "input()"], cwd=data, stdin=subprocess.PIPE)
    supervisor.stop()
    assert foreign.poll() is None
    foreign.communicate(b"\n")
    assert foreign.returncode == 0


def test_a_recorded_session_of_another_boot_means_nothing(data: Path) -> None:
    (run_directory(data) / "session.json").write_text(f'{{"session": {os.getsid(0)}, "boot": "another"}}')
    assert leftovers(data) == []

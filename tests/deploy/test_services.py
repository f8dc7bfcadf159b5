"""The embedded PostgreSQL and Redis, really started: they answer, keep data and leave nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2
import redis

from deploy import services
from deploy.python_environment import ROOT
from deploy.sockets import run_directory
from tests.deploy.conftest import Eventually, processes_of


def query(settings: dict[str, str], sql: str) -> Any:
    connection = psycopg2.connect(settings["DATABASE_URL"])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def listening(pid: int) -> list[str]:
    """The addresses of the TCP ports on which this process accepts connections."""
    handles = {str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir() if handle.is_symlink()}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in handles]


def test_data_survives_a_second_start_and_nothing_is_left_running(data: Path) -> None:
    with services.running(data) as settings:
        query(settings, "CREATE TABLE kept AS SELECT 7 AS number")
        redis.from_url(settings["REDIS_URL"]).set("kept", "seven")
        assert processes_of(data)
    assert not processes_of(data)
    with services.running(data) as settings:
        assert query(settings, "SELECT number FROM kept") == (7,)
        assert redis.from_url(settings["REDIS_URL"]).get("kept") == b"seven"


def test_the_role_owns_its_database_and_no_more(data: Path) -> None:
    with services.running(data, durable=False) as settings:
        found = query(settings, "SELECT rolname, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user")
        encoding = query(settings, "SHOW server_encoding")
    assert found == ("berth", False, True)
    assert encoding == ("UTF8",)


def test_no_port_is_open_and_the_sockets_are_closed_to_others(data: Path) -> None:
    with services.running(data, durable=False):
        assert [port for pid in processes_of(data) for port in listening(pid)] == []
        assert (run_directory(data) / "sockets").stat().st_mode & 0o077 == 0


def test_a_path_too_long_for_a_socket_works(data: Path) -> None:
    long = data / ("d" * 90)
    try:
        with services.running(long, durable=False) as settings:
            assert query(settings, "SELECT 1") == (1,)
            assert str(long) not in settings["DATABASE_URL"]
    finally:
        subprocess.run(["rm", "-r", str(run_directory(long))], check=True)


def test_a_server_that_was_killed_starts_again_although_its_number_is_taken(data: Path) -> None:
    with services.running(data) as settings:
        query(settings, "CREATE TABLE kept AS SELECT 7 AS number")
        for pid in processes_of(data):
            os.kill(pid, signal.SIGKILL)
    pid_file = data / "postgres" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split("\n")[0], str(os.getppid()), 1))
    with services.running(data) as settings:
        assert query(settings, "SELECT number FROM kept") == (7,)


def test_a_command_gets_the_settings_and_its_exit_status_comes_back() -> None:
    script = "import os, sys; sys.exit(9 if os.environ['DATABASE_URL'] and os.environ['REDIS_URL'] else 1)"
    command = [sys.executable, "-m", "deploy.services", "--", sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9


def test_nothing_outlives_a_caller_that_is_killed(data: Path, eventually: Eventually) -> None:
    command = [
        sys.executable,
        "-m",
        "deploy.services",
        "--data",
        str(data),
        "--",
        "sh",
        "-c",
        "echo up; read forever",
    ]
    caller = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert caller.stdout and caller.stdout.readline() == b"up\n"
    caller.send_signal(signal.SIGKILL)
    caller.communicate()
    eventually(lambda: not processes_of(data))

"""The embedded PostgreSQL: reached through a unix socket only, by the account that runs Berth only.

`python -m deploy.postgres DATA` prepares `DATA/postgres` and becomes the server."""

import getpass
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy import database_user
from deploy.screen import Stopped
from deploy.sockets import socket_directory

ROLE = DATABASE = "berth"
ADMINISTRATOR = "postgres"


def programs() -> Path:
    """The folder with `postgres` and `initdb`: from the wheel, else Debian's newest."""
    found = importlib.util.find_spec("pgserver")
    if found and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        raise Stopped("PostgreSQL is not installed. Run `make run`, which installs it, or set DATABASE_URL.")
    return versions[-1]


def url(data: Path) -> str:
    return f"postgresql://{ROLE}@/{DATABASE}?host={socket_directory(data)}"


def prepare(data: Path) -> None:
    """After it, `data/postgres` holds a database and says who may connect. Safe to repeat."""
    cluster = data / "postgres"
    _open_the_way(data)
    _check_version(cluster)
    if not (cluster / "PG_VERSION").exists():
        _create(cluster)
    _write_access(cluster)
    _forget_dead_server(cluster)


def serve(data: Path, *, durable: bool = True) -> list[str]:
    """The command that runs the server in the foreground. `durable=False` is for tests: fast, lost in a power cut."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_directory(data)),
        "max_connections": "200",
        "shared_buffers": "256MB",
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "logging_collector": "off",
        "log_min_messages": "warning",
    }
    settings = [f"--{name}={value}" for name, value in options.items()]
    server = [str(programs() / "postgres"), "-D", str(data / "postgres"), *settings]
    return database_user.command(server, signal_at_parent_death="INT")


def ready(data: Path) -> bool:
    question = [str(programs() / "pg_isready"), "--quiet", "--host", str(socket_directory(data))]
    return subprocess.run(question, capture_output=True, check=False).returncode == 0


def _open_the_way(data: Path) -> None:
    installed = programs().parent
    database_user.create()
    database_user.own(data / "postgres")
    database_user.own(socket_directory(data))
    for path in (data / "postgres", socket_directory(data), installed / "bin"):
        database_user.let_through(path / "inside")
    for directory in (installed, installed.parent.parent / "pgserver.libs"):
        if directory.exists() and "pgserver" in str(directory):
            database_user.let_read(directory)


def _check_version(cluster: Path) -> None:
    """A data folder of another major version cannot be opened; say so before PostgreSQL does in its own words."""
    if not (cluster / "PG_VERSION").exists():
        return
    ours = subprocess.run([str(programs() / "postgres"), "--version"], capture_output=True, text=True, check=True)
    installed = re.search(r"\d+", ours.stdout)
    written = (cluster / "PG_VERSION").read_text().strip()
    if installed and installed.group() != written:
        raise Stopped(
            f"{cluster} was written by PostgreSQL {written}, and {installed.group()} is installed now: "
            "dump it with the old version and load it again, or remove it with `make clean`."
        )


def _create(cluster: Path) -> None:
    """initdb into a folder beside it first, so that a half-made one is never taken for a database."""
    fresh = cluster / "new"
    shutil.rmtree(fresh, ignore_errors=True)
    initdb = [str(programs() / "initdb"), "-D", str(fresh), "-U", ADMINISTRATOR]
    database_user.run(
        [*initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--auth=reject", "--no-sync", "--no-instructions"]
    )
    single = [
        str(programs() / "postgres"),
        "--single",
        "-D",
        str(fresh),
        "-c",
        "log_min_messages=error",
        "postgres",
    ]
    database_user.run(single, text=f"CREATE ROLE {ROLE} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n")
    # PG_VERSION last: it marks the database as made
    moves = sorted(fresh.iterdir(), key=lambda path: path.name == "PG_VERSION")
    for path in moves:
        path.rename(cluster / path.name)
    fresh.rmdir()


def _write_access(cluster: Path) -> None:
    """Only the system account that runs Berth may connect, and only through the socket; no password to leak."""
    account = getpass.getuser()
    (cluster / "pg_hba.conf").write_text("local all all peer map=berth\n")
    (cluster / "pg_ident.conf").write_text(f"berth {account} {ROLE}\nberth {account} {ADMINISTRATOR}\n")


def _forget_dead_server(cluster: Path) -> None:
    """Remove the pid file of a server that was killed: its number may belong to another process by now."""
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    number = pid_file.read_text().split("\n", 1)[0].strip().lstrip("-")
    try:
        alive = Path(f"/proc/{number}/cwd").resolve(strict=True) == cluster.resolve()
    except OSError:
        alive = False
    if not alive:
        pid_file.unlink()


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    try:
        prepare(data)
    except Stopped as stopped:
        raise SystemExit(str(stopped)) from None
    command = serve(data)
    os.chdir("/")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()

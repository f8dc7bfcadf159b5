"""Starts the processes that make up the door, as the Procfile does, on free ports and with the test's database."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection

from portal.gateway import nginx

START_SECONDS = 60


@dataclass(frozen=True)
class Stack:
    """Addresses of a running door."""

    port: int
    relay_port: int
    services_port: int
    portal_url: str
    workspace_url: str
    log: Path
    keeps: bool
    """Whether its nginx can keep connections to workspaces."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def environment(data: Path, **changes: str) -> dict[str, str]:
    """Everything the processes read, and nothing of what the caller's shell says about Berth."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
    ours = {
        "BERTH_DATA": str(data),
        "BERTH_RUNTIME": "fake",
        "BERTH_SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": _database_url(),
    }
    return known | ours | changes


def _database_url() -> str:
    """Of the test's database, which is not the one that settings were read with."""
    database = connection.settings_dict
    password = f":{quote(database['PASSWORD'])}" if database["PASSWORD"] else ""
    port = f":{database['PORT']}" if database["PORT"] else ""
    where = f"{quote(database['USER'])}{password}@{quote(database['HOST'], safe='')}{port}"
    return f"postgresql://{where}/{database['NAME']}?{urlencode(database['OPTIONS'])}"


def addresses(mode: str, port: int) -> dict[str, str]:
    patterns = {
        "origin": f"http://{{id}}.localhost:{port}/",
        "path": f"http://workspaces.localhost:{port}/w/{{id}}/",
    }
    return {
        "BERTH_PORT": str(port),
        "BERTH_PORTAL_URL": f"http://localhost:{port}",
        "BERTH_WORKSPACE_URL": patterns[mode],
    }


@contextmanager
def process(command: list[str], env: dict[str, str], log: Path, port: int) -> Iterator[None]:
    """Run until the block ends; it starts once the port answers."""
    with log.open("ab") as output:
        running = subprocess.Popen(command, env=env, stdout=output, stderr=output, cwd=settings.BASE_DIR)
        try:
            _wait_for(port, running, log)
            yield
        finally:
            running.terminate()
            running.wait(timeout=20)


def _wait_for(port: int, running: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{running.args!r} does not answer on port {port}:\n{log.read_text()[-3000:]}")


def _clear(data: Path) -> None:
    """pytest's folders are closed to nginx's workers, so as root its files lie elsewhere."""
    shutil.rmtree(nginx.folder(data, nginx.workers_account()), ignore_errors=True)


def nginx_elsewhere(modules: Path) -> Path:
    """An nginx that says its modules lie there."""
    script = modules / "bin/nginx"
    script.parent.mkdir()
    told = f'[ "$1" != -V ] || exec echo "--modules-path={modules}" >&2'
    script.write_text(f'#!/bin/sh\n{told}\nexec {nginx.program()} "$@"\n')
    script.chmod(0o755)
    return script


def manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


@contextmanager
def running(mode: str, folder: Path, *, with_web: bool = True, with_lua: bool = True) -> Iterator[Stack]:
    """nginx, gunicorn and the relay; `with_web=False` leaves nobody to ask who may pass."""
    program = nginx.program()
    assert program, "nginx is not installed: run `apt-get install nginx`, then test again."
    port, web, relay, services = free_port(), free_port(), free_port(), free_port()
    urls = addresses(mode, port)
    processes = {"BERTH_WEB_ADDRESS": f"127.0.0.1:{web}", "BERTH_RELAY_ADDRESS": f"127.0.0.1:{relay}"}
    processes["BERTH_SERVICES_PORT"] = str(services)
    env = environment(folder / "data", **urls, **processes)
    if not with_lua:
        env["PATH"] = f"{nginx_elsewhere(folder).parent}:{env['PATH']}"
    log = folder / "log"
    gunicorn = [sys.executable, "-m", "gunicorn", "portal.wsgi", "--bind", f"127.0.0.1:{web}"]
    options = ["--worker-class", "gthread", "--threads", "8", "--no-control-socket", "--log-level", "warning"]
    with ExitStack() as started:
        started.callback(_clear, folder / "data")
        if with_web:
            subprocess.run(manage("collectstatic", "--no-input", "-v0"), env=env, cwd=settings.BASE_DIR, check=True)
            started.enter_context(process([*gunicorn, *options], env, log, web))
            started.enter_context(process(manage("relay"), env, log, relay))
        started.enter_context(process(manage("gateway"), env, log, port))
        keeps = with_lua and nginx.lua_modules(program) is not None
        yield Stack(port, relay, services, urls["BERTH_PORTAL_URL"], urls["BERTH_WORKSPACE_URL"], log, keeps)

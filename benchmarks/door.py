"""`door`: requests a second through nginx, configurable-http-proxy and Berth's gateway to the same small answer."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import requests

from benchmarks import berth, peers
from benchmarks.berth import Berth
from benchmarks.processes import free_ports, running, temporary_folder
from benchmarks.rounds import Result, take_turns
from deploy.screen import Stopped

NGINX, PROXY, BERTH = "nginx, a plain proxy", "configurable-http-proxy", "Berth's gateway, every request authorised"
PARALLEL = ["--threads", "2", "--connections", "16"]
BODY = '{"padding": "' + "-" * 185 + '"}'
CARRIERS = ("postgres", "redis", "web", "live", "relay", "gateway")
"""What a request may pass; the workspace is a row only, so nothing runs that looks after containers."""

CONFIGURATION = """
daemon off;
pid {name}.pid;
error_log {name}.log warn;
worker_processes auto;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {name}-body;
    proxy_temp_path {name}-proxy;
    fastcgi_temp_path {name}-fastcgi;
    uwsgi_temp_path {name}-uwsgi;
    scgi_temp_path {name}-scgi;
    {server}
}}
"""
UPSTREAM = "server {{ listen 127.0.0.1:{port}; default_type application/json; return 200 '{body}'; }}"
PLAIN = """upstream behind {{ server {upstream}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
        }}
    }}"""


def measure(rounds: int, seconds: int) -> Result:
    peers.programs()
    with temporary_folder() as folder, ExitStack() as running_too:
        upstream = running_too.enter_context(_nginx(folder, "upstream", UPSTREAM, body=BODY))
        plain = running_too.enter_context(_nginx(folder, "nginx", PLAIN, upstream=upstream))
        proxy = running_too.enter_context(_proxy(folder, upstream))
        own = running_too.enter_context(berth.running({"BERTH_RUNTIME": "fake"}, processes=CARRIERS))
        contenders = {
            NGINX: partial(_rate, f"http://{plain}/", {}, seconds),
            PROXY: partial(_rate, f"http://{proxy}/", {}, seconds),
            BERTH: partial(_rate, f"http://127.0.0.1:{own.port}/", _way_in(own, upstream), seconds),
        }
        samples = take_turns(contenders, rounds)
    versions = {"nginx": _nginx_version(), "configurable-http-proxy": peers.PROXY}
    return Result("door", "Requests through the door", "requests/s", PROXY, samples, versions)


@contextmanager
def _nginx(folder: Path, name: str, server: str, **filled: str) -> Iterator[str]:
    """Yields its address."""
    port = free_ports(1)
    path = folder / f"{name}.conf"
    path.write_text(CONFIGURATION.format(name=folder / name, server=server.format(port=port, **filled)))
    command = [_program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(path)]
    with running(command, port, folder / f"{name}.log"):
        yield f"127.0.0.1:{port}"


@contextmanager
def _proxy(folder: Path, upstream: str) -> Iterator[str]:
    port = free_ports(2)
    listen = ["--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1", "--api-port", str(port + 1)]
    program = str(peers.programs() / "configurable-http-proxy")
    command = [program, *listen, "--default-target", f"http://{upstream}", "--log-level", "error"]
    with running(command, port, folder / "proxy.log", peers.environment()):
        yield f"127.0.0.1:{port}"


def _way_in(own: Berth, upstream: str) -> dict[str, str]:
    """Headers of a browser that has entered a workspace whose application is `upstream`."""
    workspace = own.python("-m", "benchmarks.door_workspace", upstream).split()[-1]
    host = own.host(workspace)
    ticket = own.ask("POST", f"workspaces/{workspace}/open/")["url"].partition("/.berth/")[2]
    entered = requests.get(
        f"http://127.0.0.1:{own.port}/.berth/{ticket}", headers={"Host": host}, allow_redirects=False, timeout=30
    )
    cookies = [f"{cookie.name}={cookie.value}" for cookie in entered.cookies]
    if not cookies:
        raise Stopped(f"The ticket opened nothing: {entered.status_code} {entered.text[:300]}")
    return {"Host": host, "Cookie": "; ".join(cookies)}


def _rate(url: str, headers: dict[str, str], seconds: int) -> float:
    """Raises Stopped when any answer was not a 2xx: a refusal is quick."""
    given = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    command = [_program("wrk"), *PARALLEL, "--duration", f"{seconds}s", *given, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise Stopped(f"Not every request to {url} was answered:\n{output}")
    return float(found[1])


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise Stopped(f"{name} is not installed: run `apt-get install {name}`, then this again.")
    return found


def _nginx_version() -> str:
    said = subprocess.run([_program("nginx"), "-v"], capture_output=True, text=True, check=True).stderr
    return said.rpartition("/")[2].strip()

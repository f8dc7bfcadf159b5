"""The container engine: whether it answers, starting it where nothing does, and what is used without one."""

import getpass
import grp
import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from deploy.machine import command_missing, root_prefix
from deploy.screen import Stopped, say

START_SECONDS = 40
OPTIONS = ("--max-concurrent-downloads=16",)
"""Docker downloads three layers at once, of all pulls together: three that hang would hold up every other."""
SYSTEMD = Path("/run/systemd/system")
DAEMON_FILE = Path("/etc/docker/daemon.json")


class Answer(Enum):
    YES = "it answers"
    FORBIDDEN = "it runs, but this account may not use it"
    NO = "nothing answers"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def engine_url() -> str:
    return os.environ.get("BERTH_ENGINE_URL") or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def ask(url: str | None = None) -> Answer:
    """Ping the engine at `url` (the configured one when None)."""
    parts = urlsplit(url or engine_url())
    if parts.scheme == "unix":
        connection: http.client.HTTPConnection = _UnixConnection(parts.path)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port or 2375, timeout=5)
    try:
        connection.request("GET", "/_ping")
        return Answer.YES if connection.getresponse().status == 200 else Answer.NO
    except PermissionError:
        return Answer.FORBIDDEN
    except (OSError, http.client.HTTPException):
        return Answer.NO
    finally:
        connection.close()


def choose(log_directory: Path, *, installed_now: bool) -> str:
    """The runtime to use: `docker` once an engine answers, `local` where none can be had."""
    if ask() is Answer.NO:
        _start(log_directory)
    answer = ask()
    if answer is Answer.YES:
        return "docker"
    if answer is Answer.FORBIDDEN:
        _start_again_in_group(join=installed_now)
    return "local"


def _start(log_directory: Path) -> None:
    prefix = root_prefix()
    if prefix is None or command_missing("dockerd") or not engine_url().startswith("unix:"):
        return
    log = log_directory / "dockerd.log"
    with log.open("ab") as output:
        if SYSTEMD.exists():
            subprocess.run([*prefix, "systemctl", "start", "docker"], stdout=output, stderr=output, check=False)
        else:
            command = [*prefix, "env", f"PATH={os.environ['PATH']}:/usr/sbin:/sbin", "dockerd", *_options()]
            started = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            _wait(started)


def _options() -> tuple[str, ...]:
    """None where Docker has settings of its own: it refuses to start with one that is given twice."""
    return () if DAEMON_FILE.exists() else OPTIONS


def _wait(daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None and ask() is Answer.NO:
        time.sleep(0.2)


def _how_to_be_allowed() -> str:
    return (
        "Docker runs, but this account may not use it. Run `sudo usermod --append --groups docker "
        f"{getpass.getuser()}` (members of that group can become root through Docker), sign in anew and run this "
        "again; or try Berth without containers: `make run BERTH_RUNTIME=local`."
    )


def _start_again_in_group(*, join: bool) -> None:
    """`sg` gives a group that this account joined without signing in anew. Joins it first if the engine was installed
    for this account a moment ago; else that is left to a person, because members can become root."""
    user = getpass.getuser()
    found = [group for group in grp.getgrall() if group.gr_name == "docker"]
    if not found or found[0].gr_gid in os.getgroups() or not (join or user in found[0].gr_mem):
        raise Stopped(_how_to_be_allowed())
    if user not in found[0].gr_mem:
        say(f"\n    adding {user} to the group docker, so that Berth can use the engine without root")
        subprocess.run([*(root_prefix() or []), "usermod", "--append", "--groups", "docker", user], check=True)
    os.execvp("sg", ["sg", "docker", "-c", shlex.join([sys.executable, *sys.orig_argv[1:]])])

"""What Berth needs from the operating system, and how it is installed: Debian packages by apt-get."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deploy.screen import Stopped, say

ROOTS_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
WHEELS_FOR = (("x86_64",), ((3, 11), (3, 12)))
"""Processors and Python versions for which PostgreSQL and Redis come as wheels; elsewhere as Debian packages."""

# A package that brings a service must not start it: Berth runs its own nginx and says when it starts an engine.
# What apt cannot have must not keep it from the rest.
INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update || true
for package in "$@"; do
    shift
    if apt-get -qq install --simulate --no-install-recommends "$package" >/dev/null; then set -- "$@" "$package"; fi
done
if [ $# = 0 ]; then exit; fi
apt-get -qq -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
    for service in nginx postgresql redis-server; do
        case " $* " in *" $service "*) systemctl disable --quiet $service ;; esac
    done
fi
"""


@dataclass(frozen=True)
class Need:
    """A package, what Berth wants it for, and how to see that it is missing."""

    package: str
    purpose: str
    missing: Callable[[], bool]
    required: bool = True


def command_missing(*names: str) -> bool:
    """Looks where root's commands are, too."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *ROOTS_FOLDERS])
    return not any(shutil.which(name, path=path) for name in names)


def module_missing(name: str) -> bool:
    found = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False)
    return found.returncode != 0


def time_zones_missing() -> bool:
    try:
        ZoneInfo("UTC")
    except ZoneInfoNotFoundError:
        return True
    return False


def wheels_exist() -> bool:
    processors, versions = WHEELS_FOR
    return platform.machine() in processors and sys.version_info[:2] in versions


def apparmor_unmanaged() -> bool:
    """Docker cannot start containers where the kernel has AppArmor on and its tool is not there."""
    switch = Path("/sys/module/apparmor/parameters/enabled")
    return switch.exists() and switch.read_text().startswith("Y") and command_missing("apparmor_parser")


def compose_missing() -> bool:
    plugin = ["docker", "compose", "version"]
    if not command_missing("docker") and subprocess.run(plugin, capture_output=True, check=False).returncode == 0:
        return False
    return command_missing("docker-compose")


def in_private_folder(folder: Path) -> bool:
    """Root's checkout where other accounts may not go, such as /root: PostgreSQL's account needs a way in."""
    return os.geteuid() == 0 and not all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def to_run(engine_answers: bool) -> list[Need]:
    venv = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    needs = [
        Need(venv, "the Python environment", lambda: module_missing("ensurepip")),
        Need("tzdata", "the time zones", time_zones_missing),
        Need("nginx", "the gateway", lambda: command_missing("nginx")),
        Need(
            "libnginx-mod-http-lua",
            "a faster gateway",
            lambda: not Path("/usr/lib/nginx/modules/ngx_http_lua_module.so").exists(),
            False,
        ),
        Need("procps", "seeing what runs in workspaces, so that idle ones stop", lambda: command_missing("ps")),
        Need(
            "mmdebstrap",
            "the base image where no registry is reached",
            lambda: command_missing("mmdebstrap"),
            False,
        ),
    ]
    if in_private_folder(Path.cwd()):
        needs.append(Need("acl", "PostgreSQL's way into this folder", lambda: command_missing("setfacl")))
    if not wheels_exist():
        needs += [
            Need(
                "postgresql",
                "the database",
                lambda: not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
            ),
            Need("redis-server", "the message queue", lambda: command_missing("redis-server")),
        ]
    if not engine_answers:
        needs += [
            Need("docker.io", "the container engine", lambda: command_missing("dockerd"), False),
            Need("apparmor", "the container engine", apparmor_unmanaged, False),
        ]
    return needs


def to_test() -> list[Need]:
    return [
        Need("iproute2", "networks of the tests' own", lambda: command_missing("ip")),
        Need("iptables", "the packet filter's tests", lambda: command_missing("iptables")),
        Need("acl", "databases in temporary folders", lambda: command_missing("setfacl")),
        Need("chromium", "the browser tests", lambda: command_missing("chromium", "chromium-browser")),
        Need(
            "fonts-dejavu-core",
            "the browser tests",
            lambda: not Path("/usr/share/fonts/truetype/dejavu").exists(),
        ),
        Need(
            "libatomic1",
            "the program that drives the browser",
            lambda: not any(Path("/usr/lib").glob("*/libatomic.so.1")),
        ),
        Need("git", "the test of clones", lambda: command_missing("git")),
        Need("openssh-client", "the tests of the SSH door", lambda: command_missing("ssh", "sftp", "scp")),
        Need("curl", "the tests of the SSH door", lambda: command_missing("curl")),
        Need("rsync", "the tests of the SSH door", lambda: command_missing("rsync")),
        Need("docker-compose", "the test of docker-compose.yml", compose_missing),
    ]


def to_bench() -> list[Need]:
    return [Need("wrk", "the benchmarks", lambda: command_missing("wrk"))]


def missing(needs: Sequence[Need]) -> list[Need]:
    return [need for need in needs if need.missing()]


def root_prefix() -> list[str] | None:
    """What to put before a command to run it as root; None where that cannot be done."""
    if os.geteuid() == 0:
        return []
    if command_missing("sudo"):
        return None
    without_asking = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    return ["sudo"] if without_asking or sys.stdin.isatty() else None


def install(needs: Sequence[Need], log: Path) -> None:
    """Install what is missing, telling first. Raises Stopped unless all that is required is there afterwards."""
    wanted = missing(needs)
    if not wanted:
        return
    names = [need.package for need in wanted]
    prefix = None if command_missing("apt-get") else root_prefix()
    if prefix is None:
        _leave_to_an_administrator([need for need in wanted if need.required])
        return
    for need in wanted:
        say(f"    installing {need.package} for {need.purpose}")
    with log.open("ab") as output:
        subprocess.run([*prefix, "sh", "-c", INSTALL, "sh", *names], stdout=output, stderr=output, check=False)
    if still := [need.package for need in missing(wanted) if need.required]:
        raise Stopped(f"apt-get could not install {', '.join(still)}; its last words are above.", log)


def _leave_to_an_administrator(required: Sequence[Need]) -> None:
    if not required:
        return
    names = " ".join(need.package for need in required)
    if command_missing("apt-get"):
        purposes = ", ".join(f"{need.package} ({need.purpose})" for need in required)
        raise Stopped(f"This machine has no apt-get: install what Debian calls {purposes}, then run this again.")
    raise Stopped(f"Ask an administrator to run `apt-get install {names}`, then run this again.")

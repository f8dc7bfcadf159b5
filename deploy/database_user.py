"""The system account that PostgreSQL and Redis run as when Berth is started by root: PostgreSQL refuses root."""

import os
import pwd
import subprocess
from pathlib import Path

from deploy.machine import command_missing
from deploy.screen import Stopped

NAME = "berth-db"


def needed() -> bool:
    return os.geteuid() == 0


def create() -> None:
    """After it, the account exists (or nobody needs it)."""
    if not needed() or _exists():
        return
    command = [
        "useradd",
        "--system",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
    ]
    done = subprocess.run([*command, NAME], capture_output=True, text=True, check=False)
    if done.returncode and not _exists():
        raise Stopped(f"The system account {NAME} for PostgreSQL could not be made: {done.stderr.strip()}")


def own(directory: Path, mode: int = 0o700) -> None:
    """Make a directory that belongs to whom the databases run as."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(mode)
    if needed():
        entry = pwd.getpwnam(NAME)
        os.chown(directory, entry.pw_uid, entry.pw_gid)


def let_through(path: Path) -> None:
    """Give the account, and it alone, the right to pass through the folders above `path` (such as /root)."""
    if not needed():
        return
    for folder in reversed(path.resolve().parents):
        if not _may(folder, "-x"):
            _grant_passage(folder)


def let_read(directory: Path) -> None:
    """Open programs installed under a strict umask to everybody, so that the account can run them."""
    if needed() and not all(_may(path, "-r") for path in (directory, *directory.glob("bin/initdb"))):
        subprocess.run(["chmod", "--recursive", "go+rX", str(directory)], check=True)


def command(arguments: list[str], *, signal_at_parent_death: str) -> list[str]:
    """Run these as the account (as ourselves when not root), ended when the supervisor dies."""
    prefix = ["setpriv", "--pdeathsig", signal_at_parent_death]
    if needed():
        group = str(pwd.getpwnam(NAME).pw_gid)
        prefix += ["--reuid", NAME, "--regid", group, "--clear-groups"]
    return [*prefix, *arguments]


def run(arguments: list[str], *, text: str = "") -> None:
    """Run to the end as the account; raises Stopped with its words when it fails."""
    done = subprocess.run(
        command(arguments, signal_at_parent_death="TERM"),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Stopped(f"{Path(arguments[0]).name} failed: {words[-1] if words else done.returncode}")


def _exists() -> bool:
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        return False
    return True


def _may(path: Path, right: str) -> bool:
    entry = pwd.getpwnam(NAME)
    test = ["test", right, str(path)]
    return subprocess.run(test, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], check=False).returncode == 0


def _grant_passage(folder: Path) -> None:
    grant = ["setfacl", "--modify", f"u:{NAME}:x", str(folder)]
    if command_missing("setfacl") or subprocess.run(grant, capture_output=True, check=False).returncode:
        raise Stopped(
            f"PostgreSQL may not run as root, and its account {NAME} cannot reach {folder}. "
            "Move this checkout to a folder such as /srv/berth, or run as an ordinary user."
        )

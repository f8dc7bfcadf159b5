"""`make clean`: removes what Berth made on this machine from this folder, after saying what and asking."""

import fcntl
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from deploy.configuration import data_directory
from deploy.machine import command_missing
from deploy.python_environment import ROOT, VENV
from deploy.screen import say
from deploy.sockets import run_directory
from runtimes import isolation
from runtimes.base import EngineRefused

CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache")
ENGINE = {
    "containers": (["ps", "--all", "--quiet"], ["rm", "--force"]),
    "volumes (people's files)": (["volume", "ls", "--quiet"], ["volume", "rm"]),
    "networks": (["network", "ls", "--quiet"], ["network", "rm"]),
}


def main() -> int:
    data = data_directory(os.environ)
    if _runs(data):
        say("Berth runs from this folder: stop it with Ctrl-C where it was started, then run this again.")
        return 1
    inside = (ROOT / ".berth", VENV, *(ROOT / name for name in CACHES))
    folders = [path for path in inside if path.is_dir() and not path.is_symlink()]
    on_engine = {kind: names for kind in ENGINE if (names := _labelled(kind, data))}
    if not folders and not on_engine:
        say("Nothing to remove.")
        return 0
    if data not in folders and data.exists():
        say(f"{data} lies outside this folder and is left alone.")
    say("This removes for good:")
    for path in folders:
        say(f"  {path}" + (" (database, logs, demo sign-ins)" if path == data else ""))
    for kind, names in on_engine.items():
        say(f"  {len(names)} {kind} in the container engine")
    if input("Type yes to go on: ").strip() != "yes":
        say("Nothing was removed.")
        return 1
    _remove(folders, on_engine, _instance(data))
    return 0


def _runs(data: Path) -> bool:
    if not data.exists():
        return False
    with (run_directory(data) / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _labelled(kind: str, data: Path) -> list[str]:
    """What carries this instance's label; another instance's is never touched."""
    instance = _instance(data)
    if not instance or command_missing("docker"):
        return []
    command = ["docker", *ENGINE[kind][0], "--filter", f"label=berth.instance={instance}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def _instance(data: Path) -> str:
    name = data / "instance"
    return name.read_text().strip() if name.exists() else ""


def _remove(folders: list[Path], on_engine: dict[str, list[str]], instance: str) -> None:
    for kind, names in on_engine.items():
        subprocess.run(["docker", *ENGINE[kind][1], *names], stdout=subprocess.DEVNULL, check=True)
    if on_engine:
        with suppress(EngineRefused):  # only root made rules, and only root can take them back
            isolation.remove(instance)
    for path in folders:
        shutil.rmtree(path)


if __name__ == "__main__":
    raise SystemExit(main())

"""What a machine lacks is told, and the engine is used, started or done without: with commands of the tests' own."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy import engine, machine
from deploy.python_environment import ROOT

STAND_IN = ROOT / "tests/deploy/stand_ins/dockerd"
Offer = Callable[..., None]


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not this machine's engine, and not its way to start one."""
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(engine, "DAEMON_FILE", tmp_path / "daemon.json")
    monkeypatch.setattr(engine, "root_prefix", list)
    monkeypatch.setenv("BERTH_ENGINE_URL", f"unix://{tmp_path}/engine.sock")


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offer:
    """From now on these commands are all there are, beside those that the stand-in needs itself."""

    def only(*names: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("env", "python3", "sh"):
            (folder / name).symlink_to(str(shutil.which(name)))
        for name in names:
            (folder / name).symlink_to(STAND_IN)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(machine, "ROOTS_FOLDERS", ())

    return only


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """The options of the engine that was started; it is ended after the test."""
    note = tmp_path / "started"
    yield lambda: note.read_text().partition(" ")[2] if note.exists() else "not started"
    if note.exists():
        with suppress(ProcessLookupError):
            os.kill(int(note.read_text().split()[0]), signal.SIGKILL)


def lacking(*, engine_answers: bool) -> set[str]:
    return {need.package for need in machine.missing(machine.to_run(engine_answers))}


def test_where_only_the_client_is_the_engine_is_missing(offer: Offer) -> None:
    offer("docker")
    assert "docker.io" in lacking(engine_answers=False)
    assert "docker.io" not in lacking(engine_answers=True)


def test_an_engine_that_is_there_and_does_not_run_is_not_missing(offer: Offer) -> None:
    offer("docker", "dockerd")
    assert "docker.io" not in lacking(engine_answers=False)


def test_without_an_engine_workspaces_are_processes(offer: Offer, tmp_path: Path, started: Callable[[], str]) -> None:
    offer("docker")
    assert engine.choose(tmp_path, installed_now=False) == "local"
    assert started() == "not started"


def test_an_engine_that_does_not_run_is_started_once(offer: Offer, tmp_path: Path, started: Callable[[], str]) -> None:
    offer("dockerd")
    for _ in range(2):
        assert engine.choose(tmp_path, installed_now=False) == "docker"
        assert started() == "--max-concurrent-downloads=16"
        (tmp_path / "bin/dockerd").unlink(missing_ok=True)


def test_an_engine_with_settings_of_its_own_keeps_them(
    offer: Offer, tmp_path: Path, started: Callable[[], str]
) -> None:
    offer("dockerd")
    (tmp_path / "daemon.json").write_text("{}")
    assert engine.choose(tmp_path, installed_now=False) == "docker"
    assert started() == ""

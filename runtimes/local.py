"""The local driver: plain processes, for trying Berth on a machine that has no container engine."""

import fcntl
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from runtimes import local_processes
from runtimes.base import (
    FILES,
    VARIABLES,
    Command,
    ContainerState,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    Gpu,
    ImageMissing,
    LogLine,
    Observation,
    Process,
    Spec,
    SpecConflict,
    Usage,
)
from runtimes.local_execution import LocalExecution
from runtimes.local_images import LocalImages
from runtimes.local_log import read_lines
from runtimes.local_processes import is_frozen, process_of, saved, send
from runtimes.local_shim import write_whole
from runtimes.rules import check_name, check_spec

_LIMIT = 30.0
_HOME = "/home/berth"
_PROJECT = Path(__file__).resolve().parent.parent
_WITH_VARIABLES = '. "$BERTH_FILES/environment"; exec "$@"'


class LocalRuntime(LocalImages):
    """Processes of one `instance` under `root`; a "container" is a folder in `root/containers`.

    Nothing is isolated and no limit of the spec (CPU, memory, processes, sizes) is enforced. The mount at
    /home/berth is the home and working folder; other mounts appear in it as links with the last part of
    their target as name. Networks and GPUs mean nothing here.
    """

    kind = "local"
    isolated = False
    freezes = True

    def __init__(self, instance: str, root: Path, ca_bundle: Path | None = None, pip_index_url: str = "") -> None:
        super().__init__(root.resolve(), ca_bundle, pip_index_url)
        self._instance = check_name(instance)
        for name in ("containers", "volumes", "locks"):
            (self._root / name).mkdir(mode=0o700, exist_ok=True)

    def check(self) -> EngineInfo:
        memory = psutil.virtual_memory().total
        return EngineInfo(platform.node(), f"Python {platform.python_version()}", float(os.cpu_count() or 1), memory)

    def gpus(self) -> tuple[Gpu, ...]:
        return ()

    def ensure(self, spec: Spec) -> Observation:
        check_spec(spec, self._instance)
        command = self._resolved(spec)
        with self._locked(spec.name):
            folder = self._folder(spec.name)
            if not folder.exists():
                self._create(folder, spec, command)
            if self._ours(folder)["labels"]["berth.spec"] != spec.digest:
                raise SpecConflict(f"{spec.name} exists already, made from another spec.")
            if _observe(folder).state is ContainerState.CREATED:
                _place(folder / "files", spec.files)
                _start(folder)
            return _observe(folder)

    def inspect(self, name: str) -> Observation:
        return _observe(self._folder(name))

    def list(self, instance: str) -> list[Observation]:
        seen = [_observe(folder) for folder in self._folders()]
        return [one for one in seen if one.labels.get("berth.instance") == instance]

    def stop(self, name: str, *, force: bool = False) -> None:
        folder = self._folder(name)
        if self._ours(folder):
            send(folder, signal.SIGKILL if force else signal.SIGTERM)
            local_processes.thaw(folder)

    def freeze(self, name: str) -> None:
        folder = self._folder(name)
        if self._ours(folder):
            local_processes.freeze(folder)

    def thaw(self, name: str) -> None:
        folder = self._folder(name)
        if self._ours(folder):
            local_processes.thaw(folder)

    def remove(self, name: str) -> None:
        folder = self._folder(name)
        with self._locked(name):
            self._ours(folder)
            until = time.monotonic() + _LIMIT
            while _observe(folder).state is ContainerState.RUNNING and time.monotonic() < until:
                send(folder, signal.SIGKILL)
                time.sleep(0.02)
            shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise EngineRefused(f"The folder of {name} could not be removed.")

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        folder = self._folder(name)
        self._ours(folder)
        lines = read_lines(folder, (lambda: not _runs(folder)) if follow else None)
        yield from (line for line in lines if since is None or line.at >= since)

    def execute(self, name: str, command: Command) -> LocalExecution:
        folder = self._folder(name)
        process = process_of(folder) if self._ours(folder) else None
        if process is None or process.status() == psutil.STATUS_STOPPED:
            raise EngineRefused(f"{name} does not run.")
        with self._asked_of_a_process(name):
            return LocalExecution(command, process.environ(), process.cwd())

    @contextmanager
    def _asked_of_a_process(self, name: str) -> Iterator[None]:
        try:
            yield
        except psutil.NoSuchProcess as error:
            raise EngineRefused(f"{name} does not run.") from error
        except FileNotFoundError as error:
            raise EngineRefused(f"There is no program {error.filename} on this machine.") from error

    def stats(self, name: str) -> Usage | None:
        folder = self._folder(name)
        process = process_of(folder) if self._ours(folder) else None
        if process is None:
            return None
        cpu, memory = 0.0, 0
        with suppress(psutil.NoSuchProcess):
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    cpu += sum(one.cpu_times()[:4])
                    memory += one.memory_info().rss
        return Usage(datetime.now(UTC), cpu, memory)

    def processes(self, name: str) -> tuple[Process, ...] | None:
        folder = self._folder(name)
        process = process_of(folder) if self._ours(folder) else None
        if process is None:
            return None
        found = []
        with suppress(psutil.NoSuchProcess):
            outside = (None, process.terminal())  # the terminal in which Berth was started is none of its own
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    found.append(Process(one.name(), one.terminal() not in outside))
        return tuple(found)

    def events(self) -> Iterator[str]:
        before = {one.name: (one.state, one.frozen) for one in self.list(self._instance)}
        while True:
            time.sleep(0.2)
            now = {one.name: (one.state, one.frozen) for one in self.list(self._instance)}
            yield from (name for name in sorted({*before, *now}) if before.get(name) != now.get(name))
            before = now

    def make_volume(self, name: str, image: str | None) -> bool:
        (self._root / "volumes" / check_name(name)).mkdir(exist_ok=True)
        return True

    def remove_volume(self, name: str) -> None:
        volume = self._root / "volumes" / check_name(name)
        if any(name in saved(folder / "spec.json").get("volumes", []) for folder in self._folders()):
            raise EngineRefused(f"The volume {name} is in use.")
        shutil.rmtree(volume, ignore_errors=True)

    def guard(self, image: str | None) -> tuple[str, ...]:
        return ("Workspaces run as processes of this machine, not isolated from it: for trying out only.",)

    def remove_network(self, name: str) -> None:
        check_name(name)

    def _folder(self, name: str) -> Path:
        return self._root / "containers" / check_name(name)

    def _folders(self) -> Sequence[Path]:
        return [path for path in (self._root / "containers").iterdir() if not path.name.startswith(".")]

    def _ours(self, folder: Path) -> dict[str, Any]:
        """What is saved of a container, {} when it is absent; EngineRefused for another instance's."""
        spec = saved(folder / "spec.json")
        if spec and spec["labels"].get("berth.instance") != self._instance:
            raise EngineRefused(f"{folder.name} does not belong to this instance; it was left alone.")
        return spec

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._root / "locks" / str(zlib.crc32(name.encode()) % 64)).open("w") as file:
            until = time.monotonic() + _LIMIT
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise EngineUnreachable(f"Another call holds {name}.") from None
                    time.sleep(0.02)
            yield

    def _resolved(self, spec: Spec) -> Sequence[str]:
        """The command with its program found in the image's environment, or on the machine."""
        if self.find_image(spec.image) is None:
            raise ImageMissing(f"The environment {spec.image} has not been built on this machine.")
        if not spec.command:
            raise EngineRefused("Without a container engine a command must be given.")
        program = shutil.which(spec.command[0], path=self._path(spec))
        if program is None:
            raise EngineRefused(f"There is no program {spec.command[0]!r} in the environment.")
        return [program, *spec.command[1:]]

    def _path(self, spec: Spec) -> str:
        return f"{self.environment_of(spec.image) / 'bin'}:{self.clean_environment()['PATH']}"

    def _create(self, folder: Path, spec: Spec, command: Sequence[str]) -> None:
        port = _free_port() if spec.port else None
        filled = spec.listening_on(port)
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "home").mkdir(mode=0o700, parents=True)
        home = self._home(spec, folder)
        environment = {
            **self.clean_environment(),
            **filled.environment,
            "HOME": str(home),
            "PATH": self._path(spec),
        }
        labels = {**spec.labels, "berth.spec": spec.digest} | ({"berth.port": str(port)} if port else {})
        place = {"BERTH_FILES": str(folder / "files")} if spec.files else {}
        given = ["/bin/sh", "-c", _WITH_VARIABLES, "sh"] if VARIABLES in spec.files else []
        start = {
            "command": [*given, command[0], *filled.command[1:]],
            "cwd": str(_begin_in(home, spec.folders)),
            "environment": environment | place,
        }
        write_whole(draft / "start.json", start)
        write_whole(draft / "spec.json", {"labels": labels, "volumes": [m.volume for m in spec.mounts]})
        draft.rename(folder)

    def _home(self, spec: Spec, folder: Path) -> Path:
        places = {mount.target: self._root / "volumes" / mount.volume for mount in spec.mounts}
        for place in places.values():
            place.mkdir(exist_ok=True)
        home = places.pop(_HOME, None)
        if home is None:
            return folder / "home"
        for target, place in places.items():
            link = home / Path(target).name
            if link.is_symlink():
                link.unlink()
            if not link.exists():
                link.symlink_to(place)
        return home


def _begin_in(home: Path, folders: Sequence[str]) -> Path:
    """The first of the folders, which are all made; the home where none is asked for."""
    made = [home / Path(folder).relative_to(_HOME) for folder in folders if Path(folder).is_relative_to(_HOME)]
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    return next(iter(made), home)


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files for this account only, in place of what an earlier call may have left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for path, content in files.items():
        target = folder / Path(path).relative_to(FILES)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(content)
        target.chmod(0o400)


def _start(folder: Path) -> None:
    with (folder / "supervisor.err").open("wb") as complaints:
        started = subprocess.run(
            [sys.executable, "-m", "runtimes.local_shim", str(folder)],
            cwd=_PROJECT,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            start_new_session=True,
            timeout=_LIMIT,
            check=False,
        )
    until = time.monotonic() + _LIMIT
    while _observe(folder).state is ContainerState.CREATED:
        if started.returncode or time.monotonic() > until:
            reason = (folder / "supervisor.err").read_text(errors="replace").strip().splitlines()[-1:]
            raise EngineRefused(" ".join([f"The supervisor of {folder.name} did not start.", *reason]))
        time.sleep(0.01)


def _observe(folder: Path) -> Observation:
    spec = saved(folder / "spec.json")
    if not spec:
        return Observation(folder.name, ContainerState.ABSENT)
    labels, started = spec["labels"], saved(folder / "process.json")
    # Asked before exit.json is read: a supervisor that is gone has written it already.
    runs = process_of(folder, "shim") is not None
    ended = saved(folder / "exit.json")
    begun_at = datetime.fromisoformat(started["started_at"]) if started else None
    if ended:
        finished_at, code = datetime.fromisoformat(ended["finished_at"]), ended["exit_code"]
        return Observation(
            folder.name,
            ContainerState.EXITED,
            labels,
            None,
            begun_at,
            finished_at,
            code,
            error=ended["error"],
        )
    if runs:
        address = f"127.0.0.1:{labels['berth.port']}" if "berth.port" in labels else None
        return Observation(folder.name, ContainerState.RUNNING, labels, address, begun_at, frozen=is_frozen(folder))
    if started:
        error = "It was killed together with its supervisor."
        return Observation(folder.name, ContainerState.EXITED, labels, None, begun_at, error=error)
    return Observation(folder.name, ContainerState.CREATED, labels)


def _runs(folder: Path) -> bool:
    return _observe(folder).state is ContainerState.RUNNING


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

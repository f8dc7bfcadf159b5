"""The fake driver: an engine in memory with a clock of its own and faults on demand, for tests and demos."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from runtimes.base import (
    ContainerState,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    ImageInfo,
    ImageMissing,
    LogLine,
    Observation,
    OnProgress,
    Progress,
    Spec,
    SpecConflict,
    Usage,
)
from runtimes.lines import LineSplitter
from runtimes.rules import check_name, check_spec


class Fault(StrEnum):
    HANG = "hang"
    """No answer, and nothing was done."""
    UNANSWERED = "unanswered"
    """No answer, but it was done."""
    ERROR = "error"
    """The engine says no; nothing was done."""
    IMAGE_MISSING = "image_missing"
    SLOW = "slow"
    """`ensure` comes back at once; the container runs only after `FakeEngine.slow_for`."""
    NEVER = "never"
    """`ensure` comes back at once; the container stays created for ever."""
    DIES = "dies"
    """The container ends right after its start, with `FakeEngine.dies_with`."""
    LOST = "lost"
    """The container vanishes right after its start."""
    DUPLICATE = "duplicate"
    """A container of the generation before runs beside the new one."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a command does when it runs: its output, and its exit code, or None to run until stopped."""

    output: bytes = b""
    errors: bytes = b""
    exit_code: int | None = None
    on_stop: int = 143
    out_of_memory: bool = False


@dataclass(slots=True)
class FakeContainer:
    """One container; the engine's clock moves it from created to running at `runs_from`."""

    spec: Spec
    labels: Mapping[str, str]
    runs_from: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    lines: list[LogLine] = field(default_factory=list)


@dataclass(slots=True)
class _Planned:
    fault: Fault
    verb: str
    name: str | None
    times: int


def _now() -> datetime:
    return datetime.now(UTC)


class FakeEngine:
    """What several FakeRuntime objects of one process share. `clock` may be a test's own.

    `address_of` says where a running container is reached, so that a test can point it at a real server.
    `programs` says what a command does; one that is not there runs until it is stopped.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = _now,
        address_of: Callable[[Spec], str] = lambda spec: f"127.0.0.1:{spec.port}",
    ) -> None:
        self.clock = clock
        self.address_of = address_of
        self.containers: dict[str, FakeContainer] = {}
        self.images: dict[str, ImageInfo] = {}
        self.volumes: set[str] = set()
        self.networks: set[str] = set()
        self.programs: dict[tuple[str, ...], Program] = {}
        self.any_image = True
        self.slow_for = timedelta(seconds=30)
        self.dies_with = 1
        self.changed = threading.Condition(threading.RLock())
        self.happened: list[tuple[str, str]] = []
        self._planned: list[_Planned] = []

    def inject(self, fault: Fault, verb: str = "ensure", name: str | None = None, times: int = 1) -> None:
        """The next `times` calls of `verb` (for that container, or any) meet the fault, oldest first."""
        with self.changed:
            self._planned.append(_Planned(fault, verb, name, times))

    def meet(self, verb: str, name: str | None = None) -> Fault | None:
        """The fault for this call, used up once."""
        for planned in self._planned:
            if planned.times > 0 and planned.verb == verb and planned.name in (None, name):
                planned.times -= 1
                return planned.fault
        return None

    def clear_faults(self) -> None:
        with self.changed:
            self._planned.clear()

    def end(self, name: str, exit_code: int, *, out_of_memory: bool = False) -> None:
        """The container ends by itself, as seen by the engine now."""
        with self.changed:
            container = self.containers[name]
            container.finished_at, container.exit_code = self.clock(), exit_code
            container.out_of_memory = out_of_memory
            self.tell(name, container)

    def vanish(self, name: str) -> None:
        """Somebody removed the container behind our back."""
        with self.changed:
            self.tell(name, self.containers.pop(name))

    def restart(self) -> None:
        """The engine restarts: everything that runs ends with 137."""
        with self.changed:
            for name in [one for one, container in self.containers.items() if self.runs(container)]:
                self.end(name, 137)

    def write(self, name: str, output: bytes, stream: str = "stdout") -> None:
        """The container prints this, now."""
        with self.changed:
            splitter = LineSplitter()
            texts = splitter.feed(output) + splitter.end()
            self.containers[name].lines += [LogLine(self.clock(), stream, text) for text in texts]
            self.changed.notify_all()

    def runs(self, container: FakeContainer) -> bool:
        begun = container.runs_from is not None and container.runs_from <= self.clock()
        return begun and container.finished_at is None

    def tell(self, name: str, container: FakeContainer) -> None:
        """Something happened to it: whoever reads events is woken."""
        self.happened.append((container.labels.get("berth.instance", ""), name))
        self.changed.notify_all()

    def observe(self, name: str) -> Observation:
        container = self.containers.get(name)
        if container is None:
            return Observation(name, ContainerState.ABSENT)
        running, ended = self.runs(container), container.finished_at is not None
        state = ContainerState.EXITED if ended else ContainerState.RUNNING if running else ContainerState.CREATED
        return Observation(
            name=name,
            state=state,
            labels=container.labels,
            address=self.address_of(container.spec) if running and container.spec.port else None,
            started_at=container.runs_from if running or ended else None,
            finished_at=container.finished_at,
            exit_code=container.exit_code,
            out_of_memory=container.out_of_memory,
        )


class FakeRuntime:
    """The driver on a FakeEngine; without one it gets its own."""

    kind = "fake"
    isolated = True

    def __init__(self, instance: str, engine: FakeEngine | None = None) -> None:
        self._instance = check_name(instance)
        self.engine = engine or FakeEngine()

    def check(self) -> EngineInfo:
        self._meet("check")
        return EngineInfo("fake", "1", 64.0, 256 * 1024**3)

    def ensure(self, spec: Spec) -> Observation:
        check_spec(spec, self._instance)
        with self.engine.changed:
            fault = self._meet("ensure", spec.name)
            if fault is Fault.IMAGE_MISSING or not self._has(spec.image):
                raise ImageMissing(f"The image {spec.image} is not on the engine.")
            existing = self._ours(spec.name)
            if existing is None:
                self._create(spec, fault)
            elif existing.labels["berth.spec"] != spec.digest:
                raise SpecConflict(f"{spec.name} exists already, made from another spec.")
            _answer(fault)
            return self.engine.observe(spec.name)

    def inspect(self, name: str) -> Observation:
        with self.engine.changed:
            self._meet("inspect", name)
            return self.engine.observe(check_name(name))

    def list(self, instance: str) -> list[Observation]:
        with self.engine.changed:
            self._meet("list")
            seen = [self.engine.observe(name) for name in self.engine.containers]
            return [one for one in seen if one.labels.get("berth.instance") == instance]

    def stop(self, name: str, *, force: bool = False) -> None:
        with self.engine.changed:
            fault = self._meet("stop", name)
            container = self._ours(name)
            if container and self.engine.runs(container):
                self.engine.end(name, 137 if force else self._program(container.spec).on_stop)
            _answer(fault)

    def remove(self, name: str) -> None:
        with self.engine.changed:
            fault = self._meet("remove", name)
            if self._ours(name):
                self.engine.vanish(name)
            _answer(fault)

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        self._meet("logs", name)
        container = self._ours(name)
        given = 0
        while container is not None:
            with self.engine.changed:
                ended = not follow or not self.engine.runs(container)
                fresh = container.lines[given:]
                if not fresh and not ended:
                    self.engine.changed.wait(0.05)
            given += len(fresh)
            yield from (line for line in fresh if since is None or line.at >= since)
            if ended:
                return

    def stats(self, name: str) -> Usage | None:
        with self.engine.changed:
            self._meet("stats", name)
            container = self._ours(name)
            if container is None or not self.engine.runs(container) or container.runs_from is None:
                return None
            now = self.engine.clock()
            seconds = (now - container.runs_from).total_seconds()
            return Usage(now, seconds * container.spec.cpu / 2, container.spec.memory // 2)

    def events(self) -> Iterator[str]:
        self._meet("events")
        given = len(self.engine.happened)
        while True:
            with self.engine.changed:
                if len(self.engine.happened) == given:
                    self.engine.changed.wait(0.05)
                fresh = self.engine.happened[given:]
            given += len(fresh)
            yield from (name for instance, name in fresh if instance == self._instance)

    def remove_volume(self, name: str) -> None:
        with self.engine.changed:
            used = {mount.volume for one in self.engine.containers.values() for mount in one.spec.mounts}
            if check_name(name) in used:
                raise EngineRefused(f"The volume {name} is in use.")
            self.engine.volumes.discard(name)

    def remove_network(self, name: str) -> None:
        with self.engine.changed:
            running = [one for one in self.engine.containers.values() if self.engine.runs(one)]
            if check_name(name) in {one.spec.network for one in running}:
                raise EngineRefused(f"The network {name} is in use.")
            self.engine.networks.discard(name)

    def guard(self, image: str | None) -> tuple[str, ...]:
        self._meet("guard")
        return ()

    def find_image(self, reference: str) -> ImageInfo | None:
        self._meet("find_image")
        return self.engine.images.get(reference)

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        self._meet("pull_image")
        for percent in (0, 50, 100):
            on_progress(Progress(percent / 100, f"{percent} %"))
        return self._keep(reference, reference.encode())

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        self._meet("build_image")
        on_progress(Progress(0.5, "Step 1/2"))
        content = b"".join(file.read_bytes() for file in sorted(context.rglob("*")) if file.is_file())
        return self._keep(tag, content)

    def import_image(self, tag: str, tar: BinaryIO) -> ImageInfo:
        self._meet("import_image")
        return self._keep(tag, tar.read())

    def _meet(self, verb: str, name: str | None = None) -> Fault | None:
        with self.engine.changed:
            fault = self.engine.meet(verb, name)
        if fault is Fault.HANG:
            raise EngineUnreachable("The container engine did not answer in time.")
        if fault is Fault.ERROR:
            raise EngineRefused("The container engine said: no space left on device")
        return fault

    def _ours(self, name: str) -> FakeContainer | None:
        container = self.engine.containers.get(check_name(name))
        if container and container.labels.get("berth.instance") != self._instance:
            raise EngineRefused(f"{name} does not belong to this instance; it was left alone.")
        return container

    def _has(self, image: str) -> bool:
        return self.engine.any_image or image in {one.id for one in self.engine.images.values()}

    def _program(self, spec: Spec) -> Program:
        return self.engine.programs.get(spec.command, Program())

    def _create(self, spec: Spec, fault: Fault | None) -> None:
        engine, program = self.engine, self._program(spec)
        engine.volumes.update(mount.volume for mount in spec.mounts)
        engine.networks.add(spec.network)
        container = FakeContainer(spec, {**spec.labels, "berth.spec": spec.digest})
        if fault is not Fault.NEVER:
            container.runs_from = engine.clock() + (engine.slow_for if fault is Fault.SLOW else timedelta())
        engine.containers[spec.name] = container
        engine.tell(spec.name, container)
        engine.write(spec.name, program.output)
        engine.write(spec.name, program.errors, "stderr")
        if fault is Fault.DIES:
            engine.end(spec.name, engine.dies_with)
        elif program.exit_code is not None and engine.runs(container):
            engine.end(spec.name, program.exit_code, out_of_memory=program.out_of_memory)
        elif fault is Fault.LOST:
            engine.vanish(spec.name)
        elif fault is Fault.DUPLICATE:
            self._add_older(spec, container)

    def _add_older(self, spec: Spec, newer: FakeContainer) -> None:
        generation = int(spec.labels["berth.generation"])
        name = f"{spec.name.removesuffix(f'-g{generation}')}-g{generation - 1}"
        labels = {**newer.labels, "berth.generation": str(generation - 1)}
        self.engine.containers[name] = FakeContainer(spec, labels, runs_from=newer.runs_from)

    def _keep(self, tag: str, content: bytes) -> ImageInfo:
        with self.engine.changed:
            image = ImageInfo("sha256:" + hashlib.sha256(content).hexdigest(), len(content), self.engine.clock())
            self.engine.images[tag] = self.engine.images[image.id] = image
            return image


def _answer(fault: Fault | None) -> None:
    if fault is Fault.UNANSWERED:
        raise EngineUnreachable("The container engine did not answer in time.")

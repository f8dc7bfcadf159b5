"""The fake driver: it drives an engine in memory, for tests and demos."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from runtimes.base import (
    Command,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    Gpu,
    ImageInfo,
    ImageMissing,
    LogLine,
    Observation,
    OnProgress,
    Process,
    Progress,
    Spec,
    SpecConflict,
    Usage,
)
from runtimes.fake_engine import FakeContainer, FakeEngine, Fault, Program
from runtimes.fake_execution import FakeExecution
from runtimes.rules import check_name, check_spec


class FakeRuntime:
    """The driver on a FakeEngine; without one it gets its own."""

    kind = "fake"
    isolated = True
    freezes = True

    def __init__(self, instance: str, engine: FakeEngine | None = None) -> None:
        self._instance = check_name(instance)
        self.engine = engine or FakeEngine()

    def check(self) -> EngineInfo:
        self._meet("check")
        return EngineInfo("fake", "1", 64.0, 256 * 1024**3)

    def gpus(self) -> tuple[Gpu, ...]:
        return ()

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

    def freeze(self, name: str, *, wanted: bool = True) -> None:
        with self.engine.changed:
            fault = self._meet("freeze" if wanted else "thaw", name)
            container = self._ours(name)
            if container and self.engine.runs(container) and container.frozen != wanted:
                container.frozen = wanted
                self.engine.tell(name, container)
            _answer(fault)

    def thaw(self, name: str) -> None:
        self.freeze(name, wanted=False)

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

    def execute(self, name: str, command: Command) -> FakeExecution:
        with self.engine.changed:
            self._meet("execute", name)
            container = self._ours(name)
            if container is None or not self.engine.runs(container) or container.frozen:
                raise EngineRefused(f"{name} does not run.")
            return FakeExecution(command)

    def stats(self, name: str) -> Usage | None:
        with self.engine.changed:
            self._meet("stats", name)
            container = self._ours(name)
            if container is None or not self.engine.runs(container) or container.runs_from is None:
                return None
            now = self.engine.clock()
            seconds = (now - container.runs_from).total_seconds()
            return Usage(now, seconds * container.spec.cpu / 2, container.spec.memory // 2)

    def processes(self, name: str) -> tuple[Process, ...] | None:
        with self.engine.changed:
            self._meet("processes", name)
            container = self._ours(name)
            return tuple(container.processes) if container and self.engine.runs(container) else None

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

    def make_volume(self, name: str, image: str | None) -> bool:
        self._meet("make_volume")
        with self.engine.changed:
            self.engine.volumes.add(check_name(name))
        return True

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

    def resolve_image(self, tag: str) -> str:
        self._meet("resolve_image")
        return f"{tag.rpartition(':')[0]}@sha256:{hashlib.sha256(tag.encode()).hexdigest()}"

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

    def remove_image(self, reference: str) -> None:
        with self.engine.changed:
            self._meet("remove_image")
            found = self.engine.images.get(reference)
            if found and found.id in {one.spec.image for one in self.engine.containers.values()}:
                raise EngineRefused(f"The image {reference} is in use.")
            self.engine.images.pop(reference, None)

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
        bare = replace(spec, files={})
        container = FakeContainer(bare, {**spec.labels, "berth.spec": spec.digest}, files=dict(spec.files))
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

"""The Docker driver: one engine behind its socket, spoken to over the SDK."""

import ipaddress
import secrets
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from posixpath import split
from typing import Any

from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from runtimes import files, isolation, nvidia
from runtimes.base import (
    Command,
    ContainerState,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    Gpu,
    LogLine,
    Mount,
    Observation,
    Process,
    RuntimeFailure,
    Spec,
    SpecConflict,
    Usage,
)
from runtimes.docker_answers import (
    PS_OPTIONS,
    observation,
    processes_of,
    state_of,
    usage_of,
)
from runtimes.docker_engine import Absent, Conflict, Engine, open_stream
from runtimes.docker_execution import DockerExecution
from runtimes.docker_images import DockerImages
from runtimes.docker_reading import followed, kept
from runtimes.hardening import container_config, unstarted
from runtimes.rules import check_name, check_spec
from runtimes.subnets import candidates

_DESCRIBE_LIMIT = 5.0
_ATTEMPTS = 64


class DockerRuntime(DockerImages):
    """Containers of one `instance` on one engine; those of others are never touched.

    `base_url` is the engine's address (None: the default socket). `networks` is the range that each user's
    network takes a /28 from; a /16 holds 4096 users. `reachable` are private ranges that what runs may reach
    nevertheless, `door` is the one port of this machine that they may (0: none). `ca_bundle` is trusted by image
    builds. `limit` is in seconds. Not to be shared between processes: make one after a fork.
    """

    kind = "docker"
    isolated = True
    freezes = True

    def __init__(
        self,
        instance: str,
        base_url: str | None = None,
        networks: str = "10.201.0.0/16",
        ca_bundle: Path | None = None,
        reachable: Sequence[str] = (),
        door: int = 0,
        limit: float = 30.0,
    ) -> None:
        super().__init__(Engine(base_url, limit), check_name(instance), ca_bundle)
        self._networks = str(ipaddress.IPv4Network(networks))
        self._reachable = tuple(reachable)
        self._door = door
        self._given: set[str] = set()  # volumes seen to belong to the user
        self._locks = [threading.Lock() for _ in range(64)]

    def check(self) -> EngineInfo:
        # An engine that goes down answers on old connections until it has ended its containers, not on new ones.
        self._engine.forget_connections()
        info = self._engine.ask(lambda api: api.info(), reading=True)
        return EngineInfo(info["Name"], info["ServerVersion"], float(info["NCPU"]), info["MemTotal"])

    def gpus(self) -> tuple[Gpu, ...]:
        return nvidia.devices() if self._engine.on_this_machine else ()

    def ensure(self, spec: Spec) -> Observation:
        check_spec(spec, self._instance)
        # Two threads must not both see "created": the second start would restart one that has ended.
        lock = self._locks[hash(spec.name) % len(self._locks)]
        with self._engine.within(), self._engine.locked(lock):
            found = self._create_or_adopt(spec)
            if found["State"]["Status"] == "created":
                self._start(spec)
                found = self._describe(spec.name) or found
            return observation(found)

    def inspect(self, name: str) -> Observation:
        found = self._describe(name)
        return observation(found) if found else Observation(name, ContainerState.ABSENT)

    def list(self, instance: str) -> list[Observation]:
        # What builds on an image of ours inherits its labels: only a container of Berth's own names an allocation.
        filters = {"label": [f"berth.instance={instance}", "berth.allocation"]}
        with self._engine.within():
            rows = self._engine.ask(lambda api: api.containers(all=True, filters=filters), reading=True)
        until = time.monotonic() + self._engine.seconds
        with ThreadPoolExecutor(8) as pool:
            seen = pool.map(lambda row: self._observe_row(row, until), rows)
            return [one for one in seen if one is not None]

    def stop(self, name: str, *, force: bool = False) -> None:
        with self._engine.within(), suppress(Absent, Conflict):
            if self._describe_ours(name):
                self.thaw(name)
                self._engine.ask(lambda api: api.kill(name, signal="SIGKILL" if force else "SIGTERM"))

    def freeze(self, name: str) -> None:
        with self._engine.within(), suppress(Absent, Conflict):
            if (found := self._describe_ours(name)) and not observation(found).frozen:
                self._engine.ask(lambda api: api.pause(name))

    def thaw(self, name: str) -> None:
        with self._engine.within(), suppress(Absent, Conflict):
            if (found := self._describe_ours(name)) and observation(found).frozen:
                self._engine.ask(lambda api: api.unpause(name))

    def remove(self, name: str) -> None:
        with self._engine.within():
            while self._describe_ours(name):
                # Another removal in progress answers 409 until it is done.
                with suppress(Absent, Conflict):
                    self._engine.ask(lambda api: api.remove_container(name, force=True, v=True))
                threading.Event().wait(0.02)

    def logs(self, name: str, since: datetime | None, *, follow: bool) -> Iterator[LogLine]:
        if not self._describe_ours(name):
            return
        yield from (followed if follow else kept)(self._engine, name, since)

    def execute(self, name: str, command: Command) -> DockerExecution:
        with self._engine.within():
            found = self._describe_ours(name)
            if found is None or found["State"]["Status"] != "running":
                raise EngineRefused(f"{name} does not run.")
            return DockerExecution(self._engine, name, command, secrets.token_hex(8))

    def stats(self, name: str) -> Usage | None:
        with self._engine.within(), suppress(Absent, Conflict):
            if self._describe_ours(name):
                return usage_of(
                    self._engine.ask(lambda api: api.stats(name, stream=False, one_shot=True), reading=True)
                )
        return None

    def processes(self, name: str) -> tuple[Process, ...] | None:
        with self._engine.within(), suppress(Absent, Conflict):
            if self._describe_ours(name):
                return processes_of(self._engine.ask(lambda api: api.top(name, PS_OPTIONS), reading=True))
        return None

    def events(self) -> Iterator[str]:
        filters: dict[str, Any] = {
            "type": ["container"],
            "label": [f"berth.instance={self._instance}"],
            "event": ["create", "start", "pause", "unpause", "oom", "die", "destroy"],
        }
        stream = self._engine.ask(lambda api: api.events(decode=True, filters=filters), reading=True)
        try:
            for event in stream:
                yield event["Actor"]["Attributes"]["name"]
        finally:
            stream.close()

    def make_volume(self, name: str, image: str | None) -> bool:
        mount = Mount(check_name(name), "/home/volume")
        with self._engine.within():
            self._have_volume(mount)
            if mount.volume not in self._given and image:
                self._give_by_container(mount, image)
        return mount.volume in self._given

    def remove_volume(self, name: str) -> None:
        """Also where a `make_volume` was killed before it took its helper away, which holds the volume."""

        def remove(api: APIClient) -> None:
            with suppress(NotFound):
                api.remove_container(_helper_of(name), force=True)
            api.remove_volume(name)

        self._remove_labelled(name, lambda api: api.inspect_volume(name), remove)

    def remove_network(self, name: str) -> None:
        self._remove_labelled(name, lambda api: api.inspect_network(name), lambda api: api.remove_network(name))

    def guard(self, image: str | None) -> tuple[str, ...]:
        try:
            isolation.apply(self._instance, self._networks, allow=self._reachable, door=self._door)
            open_targets = self._prove(image) if image else []
        except (RuntimeFailure, OSError) as error:  # OSError: this machine has no route to look from
            return (f"Workspaces may reach this machine and private networks: {error}",)
        return tuple(f"Workspaces can reach {target}, which should be closed." for target in open_targets)

    def _prove(self, image: str) -> Sequence[str]:
        spec = self._canary(image)
        try:
            return isolation.canary(self, spec, [])
        finally:
            self.remove_network(spec.network)

    def _canary(self, image: str) -> Spec:
        name = f"berth-{self._instance}-canary"
        labels = {
            "berth.instance": self._instance,
            "berth.allocation": "canary",
            "berth.owner": "canary",
            "berth.generation": "1",
        }
        return Spec(f"{name}-g1", image, labels, name.lower(), cpu=1.0, memory=256 * 1024**2)

    def _describe(self, name: str) -> dict[str, Any] | None:
        check_name(name)
        try:
            found: dict[str, Any] = self._engine.ask(lambda api: api.inspect_container(name), reading=True)
        except Absent:
            return None
        # The engine also answers to the first digits of an id.
        return found if found["Name"] == f"/{name}" else None

    def _describe_ours(self, name: str) -> dict[str, Any] | None:
        found = self._describe(name)
        if found:
            self._must_be_ours(name, found["Config"])
        return found

    def _must_be_ours(self, name: str, labelled: dict[str, Any]) -> None:
        if (labelled.get("Labels") or {}).get("berth.instance") != self._instance:
            raise EngineRefused(f"{name} on the engine does not belong to this instance; it was left alone.")

    def _observe_row(self, row: dict[str, Any], until: float) -> Observation | None:
        name = row["Names"][0].lstrip("/") if row["Names"] else row["Id"]
        try:
            # One stuck container may not hold up the others.
            with self._engine.within(max(min(_DESCRIBE_LIMIT, until - time.monotonic()), 0.001)):
                found = self._describe(name)
            return observation(found) if found else None
        except EngineUnreachable as error:
            return Observation(name, state_of(row["State"]), row["Labels"] or {}, error=str(error))

    def _create_or_adopt(self, spec: Spec) -> dict[str, Any]:
        for _ in range(2):
            self._have_network(spec)
            for mount in spec.mounts:
                self._have_volume(mount)
            with suppress(Conflict):
                self._engine.ask(lambda api: api.create_container_from_config(container_config(spec), spec.name))
            if found := self._describe_ours(spec.name):
                if found["Config"]["Labels"].get("berth.spec") != spec.digest:
                    raise SpecConflict(f"{spec.name} exists already, made from another spec.")
                return found
        raise EngineRefused(f"{spec.name} is being removed at this moment.")

    def _start(self, spec: Spec) -> None:
        for mount in spec.mounts:
            if not mount.read_only and mount.volume not in self._given:
                self._give_to_user(spec.name, mount.target)
                self._given.add(mount.volume)
        if spec.files or spec.folders:
            placed = files.archive(spec.files, spec.folders)
            self._engine.ask(lambda api: api.put_archive(spec.name, "/", placed))
        try:
            self._engine.ask(lambda api: api.start(spec.name))
        except Absent:
            # The user's network may have been removed as empty since it was looked for.
            self._have_network(spec)
            self._engine.ask(lambda api: api.start(spec.name))

    def _give_to_user(self, name: str, target: str) -> None:
        """A new volume belongs to root where the image has no such folder; others stay as they are.

        The engine takes 50 ms to tell whose it is, so `_have_volume` looks for itself where it can.
        """
        header = self._engine.ask(lambda api: _first_block(api, name, target), reading=True)
        if tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").uid == 0:
            parent, folder = split(target)
            self._engine.ask(lambda api: api.put_archive(name, parent, files.folder(folder)))

    def _give_by_container(self, mount: Mount, image: str) -> None:
        """Through a container that never starts: the engine itself cannot say whose a volume is."""
        helper = _helper_of(mount.volume)
        host = unstarted(mount)
        config = {"Image": image, "Cmd": ["true"], "Labels": {"berth.volume": mount.volume}, "HostConfig": host}
        with suppress(Conflict):  # one that an interrupted call has left
            self._engine.ask(lambda api: api.create_container_from_config(config, helper))
        try:
            self._give_to_user(helper, mount.target)
            self._given.add(mount.volume)
        finally:
            with suppress(Absent, Conflict):
                self._engine.ask(lambda api: api.remove_container(helper, force=True))

    def _have_volume(self, mount: Mount) -> None:
        try:
            found = self._engine.ask(lambda api: api.inspect_volume(mount.volume), reading=True)
        except Absent:
            self._given.discard(mount.volume)
            labels = {**mount.labels, "berth.instance": self._instance}
            found = self._engine.ask(lambda api: api.create_volume(mount.volume, driver="local", labels=labels))
        self._must_be_ours(mount.volume, found)
        with suppress(OSError):  # an engine elsewhere, or no right to look
            if Path(found["Mountpoint"]).stat().st_uid == files.OWNER:
                self._given.add(mount.volume)

    def _have_network(self, spec: Spec) -> None:
        for attempt in range(_ATTEMPTS):
            with suppress(Absent):
                found = self._engine.ask(lambda api: api.inspect_network(spec.network), reading=True)
                return self._must_be_ours(spec.network, found)
            with suppress(Conflict):
                self._create_network(spec, attempt)
        raise EngineRefused(f"No address range for the network {spec.network} could be taken.")

    def _create_network(self, spec: Spec, attempt: int) -> None:
        """Comes back without one when the range was taken meanwhile: perhaps for this very network."""
        rows = self._engine.ask(lambda api: api.networks(), reading=True)
        taken = [pool.get("Subnet", "") for row in rows for pool in row["IPAM"].get("Config") or []]
        subnet = next(islice(candidates(self._networks, spec.network, taken), attempt // 16, None), None)
        if subnet is None:
            raise EngineRefused(f"Every address range in {self._networks} is taken: give Berth a larger one.")
        options = self._network_options(spec, subnet)
        try:
            self._engine.ask(lambda api: api.create_network(spec.network, **options))
        except EngineRefused as error:
            if "overlap" not in str(error):
                raise
            threading.Event().wait(0.05)

    def _network_options(self, spec: Spec, subnet: str) -> dict[str, Any]:
        return {
            "driver": "bridge",
            "check_duplicate": True,
            "enable_ipv6": False,
            "options": {"com.docker.network.bridge.enable_icc": "false"},
            "ipam": IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]),
            "labels": {"berth.instance": self._instance, "berth.owner": spec.labels["berth.owner"]},
        }

    def _remove_labelled(
        self, name: str, inspect: Callable[[APIClient], Any], remove: Callable[[APIClient], Any]
    ) -> None:
        check_name(name)
        with self._engine.within(), suppress(Absent):
            self._must_be_ours(name, self._engine.ask(inspect, reading=True))
            self._engine.ask(remove)


def _helper_of(volume: str) -> str:
    """The container through which a volume is given to the user."""
    return f"{volume}-given"


def _first_block(api: APIClient, name: str, path: str) -> bytes:
    """The tar header of a folder in a container, which names its owner; the rest is not read."""
    with open_stream(api, f"/containers/{name}/archive", {"path": path}, (5, 10)) as answer:
        return answer.read(tarfile.BLOCKSIZE)

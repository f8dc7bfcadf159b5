"""The drivers under one contract, each with an image, and specs that clean up after themselves."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from runtimes.base import EngineUnreachable, ImageInfo, Runtime, Spec
from runtimes.docker import DockerRuntime
from runtimes.fake import FakeRuntime
from runtimes.fake_engine import FakeEngine, Program
from runtimes.local import LocalRuntime
from tests import base_images
from tests.contract.names import (
    CERTIFICATES,
    FAKE_IMAGE,
    INSTANCE,
    NEIGHBOUR,
    NETWORKS,
    MakeSpec,
    Until,
)


def _wait_until(holds: Callable[[], Any]) -> Any:
    """What `holds` gives once it is true; a test that waits for nothing fails instead of hanging."""
    for _ in range(600):
        if found := holds():
            return found
        time.sleep(0.05)
    pytest.fail("waited 30 seconds for something that did not happen")


@pytest.fixture(scope="session")
def until() -> Until:
    return _wait_until


@pytest.fixture(scope="session")
def fake_engine() -> FakeEngine:
    engine = FakeEngine()
    engine.any_image = False
    engine.images[FAKE_IMAGE] = ImageInfo(FAKE_IMAGE, 1)
    return engine


@pytest.fixture(scope="session")
def fake_runtime(fake_engine: FakeEngine) -> FakeRuntime:
    return FakeRuntime(INSTANCE, fake_engine)


@pytest.fixture(scope="session")
def local_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="session")
def local_runtime(local_root: Path) -> LocalRuntime:
    return LocalRuntime(INSTANCE, local_root, CERTIFICATES if CERTIFICATES.exists() else None)


@pytest.fixture(scope="session")
def docker_runtime() -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(INSTANCE, networks=NETWORKS)
    try:
        runtime.check()
    except EngineUnreachable:
        pytest.fail("No Docker engine answers on this machine: start dockerd to run the tests marked docker.")
    yield runtime
    _clean_engine(INSTANCE)
    _clean_engine(NEIGHBOUR)


@pytest.fixture(scope="session")
def engine(docker_runtime: DockerRuntime) -> Iterator[Any]:
    """The engine itself, to look at what the driver did and to do what others may do to it."""
    client = APIClient(version="auto")
    yield client
    client.close()


def _clean_engine(instance: str) -> None:
    client = APIClient(version="auto")
    mine = {"label": f"berth.instance={instance}"}
    for container in client.containers(all=True, filters=mine):
        client.remove_container(container["Id"], force=True, v=True)
    for network in client.networks(filters=mine):
        client.remove_network(network["Id"])
    for volume in client.volumes(filters=mine)["Volumes"] or []:
        client.remove_volume(volume["Name"])
    for image in client.images(filters=mine):
        client.remove_image(image["Id"], force=True)
    client.close()


@pytest.fixture(params=["fake", "local", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    found: Runtime = request.getfixturevalue(f"{request.param}_runtime")
    return found


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def real_runtime(request: pytest.FixtureRequest) -> Runtime:
    found: Runtime = request.getfixturevalue(f"{request.param}_runtime")
    return found


@pytest.fixture
def neighbour(runtime: Runtime, request: pytest.FixtureRequest) -> Runtime:
    """The same engine in the hands of another instance."""
    if runtime.kind == "fake":
        return FakeRuntime(NEIGHBOUR, request.getfixturevalue("fake_engine"))
    if runtime.kind == "local":
        return LocalRuntime(NEIGHBOUR, request.getfixturevalue("local_root"))
    return DockerRuntime(NEIGHBOUR, networks=NETWORKS)


@pytest.fixture(scope="session")
def docker_image(docker_runtime: DockerRuntime) -> str:
    return base_images.with_python().id


@pytest.fixture(scope="session")
def local_image(local_runtime: LocalRuntime, tmp_path_factory: pytest.TempPathFactory) -> str:
    context = tmp_path_factory.mktemp("context")
    (context / "requirements.txt").write_text("")
    return local_runtime.build_image("empty", context, lambda progress: None).id


@pytest.fixture
def image_of(request: pytest.FixtureRequest) -> Callable[[Runtime], str]:
    def choose(runtime: Runtime) -> str:
        return FAKE_IMAGE if runtime.kind == "fake" else request.getfixturevalue(f"{runtime.kind}_image")

    return choose


_numbers = count(1)


@pytest.fixture
def make_spec(
    request: pytest.FixtureRequest, image_of: Callable[[Runtime], str], fake_engine: FakeEngine
) -> Iterator[MakeSpec]:
    """A spec for one driver: `make_spec(runtime, Program(...), instance=..., **other fields of Spec)`."""
    made: list[tuple[Runtime, Spec]] = []

    def make(runtime: Runtime, program: Program | None = None, instance: str = INSTANCE, **fields: Any) -> Spec:
        number = next(_numbers)
        command = fields.pop("command", None) or _command(program or Program(), number)
        fake_engine.programs[command] = program or Program()
        spec = Spec(
            name=f"berth-{instance}-{number}-g1",
            image=image_of(runtime),
            labels={
                "berth.instance": instance,
                "berth.allocation": f"{number}",
                "berth.owner": "user-1",
                "berth.generation": "1",
            },
            network=f"berth-{instance}-user-1",
            cpu=0.5,
            memory=128 * 1024**2,
            command=command,
        )
        spec = replace(spec, **fields)
        made.append((runtime, spec))
        return spec

    yield make
    for runtime, spec in made:
        _remove_all(runtime, spec)


def _remove_all(runtime: Runtime, spec: Spec) -> None:
    if runtime.inspect(spec.name).labels.get("berth.instance") == spec.labels.get("berth.instance"):
        owner = runtime
        if spec.labels["berth.instance"] == INSTANCE:
            owner.remove(spec.name)
            for mount in spec.mounts:
                owner.remove_volume(mount.volume)


def _command(program: Program, number: int) -> tuple[str, ...]:
    """A Python program that does what the fake engine is told that it does."""
    code = f"""
import os, signal, time
on_stop, exit_code = {program.on_stop}, {program.exit_code}
if on_stop != 143:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(on_stop))
os.write(1, {program.output!r})
os.write(2, {program.errors!r})
while exit_code is None:
    time.sleep(60)
os._exit(exit_code)
"""
    return ("python3", "-c", code, str(number))

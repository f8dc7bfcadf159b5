"""A volume can be made before any container has it, and belongs to who will run there."""

from typing import Any

import pytest

from runtimes.base import EngineRefused, Mount, Runtime
from runtimes.docker import DockerRuntime
from tests.contract.names import INSTANCE, MakeSpec

pytestmark = pytest.mark.docker
NAME = f"{INSTANCE}-made"


def test_making_a_volume_twice_is_no_error(runtime: Runtime, make_spec: MakeSpec) -> None:
    image = make_spec(runtime).image
    assert runtime.make_volume(NAME, image)
    assert runtime.make_volume(NAME, image)
    runtime.remove_volume(NAME)


def test_a_name_that_is_a_path_makes_nothing(runtime: Runtime) -> None:
    with pytest.raises(EngineRefused):
        runtime.make_volume("../../etc", None)


def test_it_belongs_to_the_user_and_nothing_else_is_left(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any
) -> None:
    assert not docker_runtime.make_volume(NAME, None)  # there, but nobody could give it away
    code = "import os; found = os.stat('/data/made'); print(found.st_uid, found.st_gid)"
    mount = Mount(NAME, "/data/made", read_only=True)
    spec = make_spec(docker_runtime, command=("python3", "-c", code), mounts=(mount,))
    assert docker_runtime.make_volume(NAME, spec.image)
    assert engine.containers(all=True, filters={"name": NAME}) == []
    docker_runtime.ensure(spec)
    assert [line.text for line in docker_runtime.logs(spec.name, None, follow=True)] == ["1000 1000"]
    docker_runtime.remove(spec.name)
    docker_runtime.remove_volume(NAME)


def test_what_a_killed_making_left_does_not_hold_it(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any
) -> None:
    assert not docker_runtime.make_volume(NAME, None)
    host = engine.create_host_config(binds=[f"{NAME}:/home/volume"])
    image = make_spec(docker_runtime).image
    engine.create_container(image, ["true"], name=f"{NAME}-given", volumes=["/home/volume"], host_config=host)
    docker_runtime.remove_volume(NAME)
    assert engine.containers(all=True, filters={"name": NAME}) == []
    assert NAME not in [volume["Name"] for volume in engine.volumes()["Volumes"] or []]

"""Files that every driver places before the start: there in time, for the user alone, and no part of what is kept."""

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from runtimes.base import FILES, VARIABLES, ContainerState, EngineRefused, Runtime, Spec
from runtimes.docker import DockerRuntime
from runtimes.fake import FakeRuntime
from runtimes.files import archive
from runtimes.hardening import container_config
from runtimes.local import LocalRuntime
from tests.contract.names import MakeSpec

VALUE = b"hunter2-\xffhunter2\nsecond line\n"
SECRET = f"{FILES}/secrets/TOKEN"
CODE = """
import os
place = os.environ["BERTH_FILES"]
for path, _, names in sorted(os.walk(place)):
    print(path.removeprefix(place) or "/", oct(os.stat(path).st_mode & 0o777), os.stat(path).st_uid == os.getuid())
    for name in sorted(names):
        about = os.stat(os.path.join(path, name))
        content = open(os.path.join(path, name), "rb").read()
        print(name, oct(about.st_mode & 0o777), about.st_uid == os.getuid(), repr(content))
"""
SEEN = [
    "/ 0o700 True",
    "note 0o400 True b''",
    "/secrets 0o700 True",
    f"TOKEN 0o400 True {VALUE!r}",
]


@pytest.fixture
def spec(make_spec: MakeSpec, runtime: Runtime) -> Spec:
    return make_spec(runtime, command=("python3", "-c", CODE), files={SECRET: VALUE, f"{FILES}/note": b""})


def output(runtime: Runtime, spec: Spec) -> list[str]:
    return [line.text for line in runtime.logs(spec.name, None, follow=True)]


def assert_placed(runtime: Runtime, spec: Spec) -> None:
    if isinstance(runtime, FakeRuntime):
        assert runtime.engine.containers[spec.name].files == spec.files
    else:
        assert output(runtime, spec) == SEEN


def test_they_are_there_when_it_starts_for_its_user_alone(runtime: Runtime, spec: Spec) -> None:
    runtime.ensure(spec)
    assert_placed(runtime, spec)
    assert runtime.ensure(spec).name == spec.name


def test_they_are_no_part_of_what_is_compared_or_printed(runtime: Runtime, spec: Spec) -> None:
    other = replace(spec, files={SECRET: b"other"})
    assert other.digest == spec.digest == replace(spec, files={}).digest
    assert "hunter2" not in repr(spec)
    assert runtime.ensure(spec).started_at == runtime.ensure(other).started_at


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/passwd": b""},
        {FILES: b""},
        {f"{FILES}/": b""},
        {f"{FILES}/../x": b""},
        {f"{FILES}x/y": b""},
        {f"{FILES}/a": b"", f"{FILES}/a/b": b""},
        {f"{FILES}/a\0": b""},
        {f"{FILES}/a": b"x" * (8 * 1024**2 + 1)},
    ],
    ids=lambda files: ",".join(files)[:40],
)
def test_a_bad_place_makes_nothing(runtime: Runtime, spec: Spec, files: dict[str, bytes]) -> None:
    with pytest.raises(EngineRefused) as refused:
        runtime.ensure(replace(spec, files=files))
    assert "hunter2" not in str(refused.value)
    assert runtime.inspect(spec.name).state is ContainerState.ABSENT


@pytest.mark.docker
@pytest.mark.parametrize("placed", [{}, {SECRET: b"old", f"{FILES}/note": b"old"}], ids=["before", "after"])
def test_one_that_was_made_and_not_started_gets_what_is_there_now(
    docker_runtime: DockerRuntime, engine: Any, make_spec: MakeSpec, placed: dict[str, bytes]
) -> None:
    """Whoever made it may have been killed before, or after, it placed anything."""
    spec = make_spec(docker_runtime, command=("python3", "-c", CODE), files={SECRET: VALUE, f"{FILES}/note": b""})
    docker_runtime._have_network(spec)
    engine.create_container_from_config(container_config(spec), spec.name)
    if placed:
        engine.put_archive(spec.name, "/", archive(placed))
    docker_runtime.ensure(spec)
    assert output(docker_runtime, spec) == SEEN


@pytest.mark.docker
def test_the_engine_keeps_them_in_no_answer(docker_runtime: DockerRuntime, engine: Any, make_spec: MakeSpec) -> None:
    spec = make_spec(docker_runtime, files={SECRET: b"hunter2-hunter2"})
    docker_runtime.ensure(spec)
    for answer in (engine.inspect_container(spec.name), engine.containers(all=True), engine.info()):
        assert "hunter2" not in json.dumps(answer)
    shown = subprocess.run(["docker", "inspect", spec.name], capture_output=True, text=True, check=True).stdout
    assert "BERTH_FILES=/run/berth" in shown
    assert "hunter2" not in shown


def test_without_an_image_of_ours_variables_are_set_too(local_runtime: LocalRuntime, make_spec: MakeSpec) -> None:
    """Containers have an entry point that does it (tests/images)."""
    code = "import os, sys; print(os.environ['TOKEN'], sys.argv[1:])"
    spec = make_spec(
        local_runtime,
        command=("python3", "-c", code, "a b", "$TOKEN"),
        files={VARIABLES: b"export TOKEN='a $b'\n"},
    )
    local_runtime.ensure(spec)
    assert output(local_runtime, spec) == ["a $b ['a b', '$TOKEN']"]


def test_what_an_earlier_call_left_is_replaced(
    local_runtime: LocalRuntime, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(local_runtime, command=("python3", "-c", CODE), files={SECRET: VALUE, f"{FILES}/note": b""})
    with monkeypatch.context() as broken:
        broken.setattr("runtimes.local._start", lambda folder: None)
        local_runtime.ensure(replace(spec, files={f"{FILES}/stale": b"old", SECRET: b"old"}))
    local_runtime.ensure(spec)
    assert output(local_runtime, spec) == SEEN

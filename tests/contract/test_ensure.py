"""Create or adopt, start once, and leave what is not ours alone: the same for every driver."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runtimes.base import ContainerState, EngineRefused, ImageMissing, Mount, Runtime, SpecConflict
from runtimes.fake_engine import Program
from tests.contract.names import INSTANCE, NEIGHBOUR, MakeSpec, Until


def _seen(runtime: Runtime) -> list[str]:
    return [one.name for one in runtime.list(INSTANCE)]


def test_it_runs_with_its_labels_address_and_start_time(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, port=8000)
    found = runtime.ensure(spec)
    assert found.state is ContainerState.RUNNING
    assert found.labels.items() >= spec.labels.items()
    assert found.labels["berth.spec"] == spec.digest
    assert found.started_at is not None
    assert found.started_at.utcoffset() == timedelta()
    assert found.finished_at is None
    assert found.exit_code is None
    host, _, port = (found.address or "").partition(":")
    assert host.count(".") == 3
    assert int(port) > 0
    assert runtime.inspect(spec.name) == found


def test_without_a_port_it_has_no_address(runtime: Runtime, make_spec: MakeSpec) -> None:
    assert runtime.ensure(make_spec(runtime)).address is None


def test_a_second_call_adopts_what_the_first_made(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    first = runtime.ensure(spec)
    assert runtime.ensure(spec) == first
    assert _seen(runtime).count(spec.name) == 1


def test_calls_at_the_same_time_make_one_container(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, network=f"berth-{INSTANCE}-new-{runtime.kind}")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(runtime.ensure, [spec] * 6))
    assert len({one.started_at for one in found}) == 1
    assert {one.state for one in found} == {ContainerState.RUNNING}
    assert _seen(runtime).count(spec.name) == 1


def test_one_that_ended_stays_ended_and_keeps_its_exit_code(
    runtime: Runtime, make_spec: MakeSpec, until: Until
) -> None:
    spec = make_spec(runtime, Program(exit_code=3))
    runtime.ensure(spec)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.EXITED)
    ended = runtime.inspect(spec.name)
    assert ended.exit_code == 3
    assert ended.out_of_memory is False
    assert ended.address is None
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.finished_at >= ended.started_at
    assert runtime.ensure(spec) == ended


def test_another_spec_under_the_same_name_is_a_conflict(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    first = runtime.ensure(spec)
    with pytest.raises(SpecConflict):
        runtime.ensure(replace(spec, memory=spec.memory * 2))
    assert runtime.inspect(spec.name) == first


def test_a_missing_image_is_told_as_such(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, image="sha256:" + "d" * 64)
    with pytest.raises(ImageMissing):
        runtime.ensure(spec)
    assert runtime.inspect(spec.name).state is ContainerState.ABSENT


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "debian:latest"},
        {"image": ""},
        {"cpu": -1.0},
        {"cpu": math.nan},
        {"cpu": 1e309},
        {"memory": 0},
        {"memory": 2**63},
        {"port": 70000},
        {"pids": 0},
        {"tmp": -1},
        {"mounts": (Mount("/etc", "/home/berth"),)},
        {"mounts": (Mount("../../etc", "/home/berth"),)},
        {"mounts": (Mount("volume", "/etc"),)},
        {"mounts": (Mount("volume", "/home/../etc"),)},
        {"mounts": (Mount("one", "/home/berth"), Mount("two", "/home/berth"))},
        {"gpus": ("all gpus",)},
        {"folders": ("/home/berth/code",)},
        {"folders": ("/data/x/y",), "mounts": (Mount("volume", "/data/x", read_only=True),)},
        {"folders": ("/home/berth/../../etc",), "mounts": (Mount("volume", "/home/berth"),)},
        {"network": "../host"},
        {"name": "n" * 10_000},
        {"name": "../escape"},
    ],
    ids=lambda fields: next(f"{name}={str(value)[:30]}" for name, value in fields.items()),
)
def test_a_bad_spec_makes_nothing(runtime: Runtime, make_spec: MakeSpec, fields: dict[str, Any]) -> None:
    before = _seen(runtime)
    spec = replace(make_spec(runtime), **fields)
    with pytest.raises(EngineRefused):
        runtime.ensure(spec)
    assert _seen(runtime) == before


def test_a_spec_without_our_labels_is_refused(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    for labels in ({}, {**spec.labels, "berth.instance": "other"}):
        with pytest.raises(EngineRefused):
            runtime.ensure(replace(spec, labels=labels))


def test_another_instances_container_is_left_alone(runtime: Runtime, neighbour: Runtime, make_spec: MakeSpec) -> None:
    theirs = make_spec(neighbour, instance=NEIGHBOUR)
    before = neighbour.ensure(theirs)
    try:
        ours = replace(theirs, labels={**theirs.labels, "berth.instance": INSTANCE})
        for touch in (
            lambda: runtime.ensure(ours),
            lambda: runtime.stop(theirs.name),
            lambda: runtime.stop(theirs.name, force=True),
            lambda: runtime.remove(theirs.name),
            lambda: runtime.stats(theirs.name),
            lambda: list(runtime.logs(theirs.name, None, follow=False)),
        ):
            with pytest.raises(EngineRefused):
                touch()
        assert theirs.name not in _seen(runtime)
        assert neighbour.inspect(theirs.name) == before
    finally:
        neighbour.remove(theirs.name)


def test_a_program_that_is_not_there_is_told(real_runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(real_runtime, command=("no-such-program",))
    try:
        real_runtime.ensure(spec)
    except EngineRefused as error:
        assert "no-such-program" in str(error)
    else:
        # An engine with an init of its own learns it only inside the container.
        until(lambda: real_runtime.inspect(spec.name).exit_code == 127)
        assert "no-such-program" in next(real_runtime.logs(spec.name, None, follow=True)).text


def test_the_port_is_filled_in_where_the_program_needs_it(real_runtime: Runtime, make_spec: MakeSpec) -> None:
    code = "import os, sys; print(sys.argv[1], os.environ['WHERE'])"
    spec = make_spec(
        real_runtime,
        port=8000,
        command=("python3", "-c", code, "--port={port}"),
        environment={"WHERE": "127.0.0.1:{port}"},
    )
    port = real_runtime.ensure(spec).labels["berth.port"]
    lines = list(real_runtime.logs(spec.name, None, follow=True))
    assert [line.text for line in lines] == [f"--port={port} 127.0.0.1:{port}"]


def test_the_machine_has_a_size(runtime: Runtime) -> None:
    info = runtime.check()
    assert info.cpu > 0
    assert info.memory > 0
    assert info.version


def test_folders_are_made_for_the_user_and_the_command_begins_there_by_itself(
    real_runtime: Runtime, make_spec: MakeSpec
) -> None:
    code = "import os; open('mine', 'w').close(); print(os.path.basename(os.getcwd()), os.listdir('..'))"
    for said in ("code ['code']", "code ['code']"):
        spec = make_spec(
            real_runtime,
            command=("python3", "-c", code),
            mounts=(Mount("berth-contract-folders", "/home/berth"),),
            folders=("/home/berth/code",),
        )
        real_runtime.ensure(spec)
        assert [line.text for line in real_runtime.logs(spec.name, None, follow=True)] == [said]
        real_runtime.remove(spec.name)

"""Stopping, removing, and what is left afterwards: the same for every driver."""

import pytest

from runtimes.base import ContainerState, EngineRefused, Mount, Runtime
from runtimes.fake_engine import Program
from tests.contract.names import INSTANCE, MakeSpec, Until


def _start(runtime: Runtime, make_spec: MakeSpec, until: Until, program: Program) -> str:
    spec = make_spec(runtime, program)
    runtime.ensure(spec)
    until(lambda: list(runtime.logs(spec.name, None, follow=False)))
    return spec.name


def _ended(runtime: Runtime, until: Until, name: str) -> int | None:
    until(lambda: runtime.inspect(name).state is ContainerState.EXITED)
    return runtime.inspect(name).exit_code


def test_stopping_lets_the_program_end_by_itself(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    name = _start(runtime, make_spec, until, Program(b"ready\n", on_stop=7))
    runtime.stop(name)
    assert _ended(runtime, until, name) == 7


def test_a_program_that_does_not_care_ends_by_the_signal(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    name = _start(runtime, make_spec, until, Program(b"ready\n"))
    runtime.stop(name)
    assert _ended(runtime, until, name) == 143


def test_force_does_not_ask(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    name = _start(runtime, make_spec, until, Program(b"ready\n", on_stop=7))
    runtime.stop(name, force=True)
    assert _ended(runtime, until, name) == 137


def test_stopping_what_does_not_run_is_success(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(runtime, Program(exit_code=0))
    runtime.stop(spec.name)
    runtime.stop(spec.name, force=True)
    runtime.ensure(spec)
    assert _ended(runtime, until, spec.name) == 0
    runtime.stop(spec.name)
    runtime.stop(spec.name, force=True)
    assert _ended(runtime, until, spec.name) == 0


def test_removing_kills_what_runs(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    runtime.ensure(spec)
    runtime.remove(spec.name)
    assert runtime.inspect(spec.name).state is ContainerState.ABSENT
    assert spec.name not in [one.name for one in runtime.list(INSTANCE)]


def test_removing_what_is_absent_is_success(runtime: Runtime, make_spec: MakeSpec) -> None:
    runtime.remove(make_spec(runtime).name)


def test_after_removal_the_name_can_be_used_again(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    first = runtime.ensure(spec)
    runtime.remove(spec.name)
    again = runtime.ensure(spec)
    assert again.state is ContainerState.RUNNING
    assert again.started_at != first.started_at


def test_the_list_shows_running_and_ended_ones(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    running, ended = make_spec(runtime), make_spec(runtime, Program(exit_code=5))
    for spec in (running, ended):
        runtime.ensure(spec)
    _ended(runtime, until, ended.name)
    seen = {one.name: one for one in runtime.list(INSTANCE)}
    assert seen[running.name] == runtime.inspect(running.name)
    assert seen[ended.name].exit_code == 5
    assert runtime.list("nobody") == []


def test_a_volume_in_use_stays_until_its_container_is_gone(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, mounts=(Mount(f"{INSTANCE}-used-{runtime.kind}", "/home/berth"),))
    runtime.ensure(spec)
    with pytest.raises(EngineRefused):
        runtime.remove_volume(spec.mounts[0].volume)
    runtime.remove(spec.name)
    runtime.remove_volume(spec.mounts[0].volume)
    runtime.remove_volume(spec.mounts[0].volume)


def test_a_volume_keeps_its_content_when_the_container_goes(
    real_runtime: Runtime, make_spec: MakeSpec, until: Until
) -> None:
    volume = (Mount(f"{INSTANCE}-kept-{real_runtime.kind}", "/home/berth"),)
    kept = 'f\'{os.environ.get("HOME") if os.path.islink("/proc/self/cwd") and %s else "/home/berth"}/note\''
    place = kept % (real_runtime.kind == "local")
    for text in ("first", "second"):
        code = f"import os; p = {place}; open(p, 'a').write('{text} '); print(open(p).read())"
        spec = make_spec(real_runtime, command=("python3", "-c", code), mounts=volume)
        real_runtime.ensure(spec)
        lines = [line.text for line in real_runtime.logs(spec.name, None, follow=True)]
        real_runtime.remove(spec.name)
    assert lines == ["first second "]
    real_runtime.remove_volume(volume[0].volume)


def test_an_empty_network_can_be_removed_and_comes_back(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, network=f"berth-{INSTANCE}-gone-{runtime.kind}")
    runtime.ensure(spec)
    runtime.remove(spec.name)
    runtime.remove_network(spec.network)
    runtime.remove_network(spec.network)
    assert runtime.ensure(spec).state is ContainerState.RUNNING

"""Freezing and thawing: nothing moves, nothing is lost, and whatever comes next finds its way; for every driver."""

import itertools

import pytest

from runtimes.base import Command, ContainerState, EngineRefused, Runtime, Spec
from runtimes.fake_engine import Program
from tests.contract.names import INSTANCE, MakeSpec, Until

SPINS = """
import subprocess, sys
tick = "import time, itertools\\nfor n in itertools.count():\\n    print(n, flush=True)\\n    time.sleep(0.02)"
subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
subprocess.run([sys.executable, "-c", tick])
"""
"""A child that prints numbers, and one in a session of its own that keeps a core busy."""


@pytest.fixture
def spec(runtime: Runtime, make_spec: MakeSpec, until: Until) -> Spec:
    """Of a container that runs, and ends with 7 when it is asked to."""
    made = make_spec(runtime, Program(b"ready\n", on_stop=7), port=8888)
    runtime.ensure(made)
    until(lambda: list(runtime.logs(made.name, None, follow=False)))
    return made


def test_every_driver_here_can(runtime: Runtime) -> None:
    assert runtime.freezes


def test_a_frozen_one_still_runs_where_it_was(runtime: Runtime, spec: Spec) -> None:
    before = runtime.inspect(spec.name)
    runtime.freeze(spec.name)
    frozen = runtime.inspect(spec.name)
    assert (before.frozen, frozen.frozen) == (False, True)
    assert frozen.state is ContainerState.RUNNING
    assert (frozen.address, frozen.started_at) == (before.address, before.started_at)
    assert [one.frozen for one in runtime.list(INSTANCE) if one.name == spec.name] == [True]
    assert runtime.ensure(spec) == frozen
    runtime.thaw(spec.name)
    assert runtime.inspect(spec.name) == before


def test_twice_is_as_good_as_once(runtime: Runtime, spec: Spec) -> None:
    runtime.thaw(spec.name)
    for _ in range(2):
        runtime.freeze(spec.name)
        assert runtime.inspect(spec.name).frozen
    for _ in range(2):
        runtime.thaw(spec.name)
        assert not runtime.inspect(spec.name).frozen


def test_what_does_not_run_is_left_as_it_is(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(runtime, Program(exit_code=0))
    for verb in (runtime.freeze, runtime.thaw):
        verb(spec.name)
        assert runtime.inspect(spec.name).state is ContainerState.ABSENT
    runtime.ensure(spec)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.EXITED)
    ended = runtime.inspect(spec.name)
    for verb in (runtime.freeze, runtime.thaw):
        verb(spec.name)
        assert runtime.inspect(spec.name) == ended


@pytest.mark.parametrize(("force", "code"), [(False, 7), (True, 137)])
def test_stopping_reaches_a_frozen_one(runtime: Runtime, spec: Spec, until: Until, force: bool, code: int) -> None:
    runtime.freeze(spec.name)
    runtime.stop(spec.name, force=force)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.EXITED)
    ended = runtime.inspect(spec.name)
    assert (ended.exit_code, ended.frozen) == (code, False)


def test_removing_kills_a_frozen_one(runtime: Runtime, spec: Spec) -> None:
    runtime.freeze(spec.name)
    runtime.remove(spec.name)
    assert runtime.inspect(spec.name).state is ContainerState.ABSENT


def test_it_can_be_measured_and_looked_into_and_nothing_begins_in_it(runtime: Runtime, spec: Spec) -> None:
    runtime.freeze(spec.name)
    usage = runtime.stats(spec.name)
    assert usage is not None
    assert usage.memory > 0
    assert runtime.processes(spec.name) is not None
    with pytest.raises(EngineRefused):
        runtime.execute(spec.name, Command(("true",)))


def test_another_instances_is_left_alone(runtime: Runtime, neighbour: Runtime, spec: Spec) -> None:
    with pytest.raises(EngineRefused):
        neighbour.freeze(spec.name)
    runtime.freeze(spec.name)
    with pytest.raises(EngineRefused):
        neighbour.thaw(spec.name)
    assert runtime.inspect(spec.name).frozen


def test_nothing_in_it_moves_and_all_of_it_goes_on(real_runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(real_runtime, command=("python3", "-c", SPINS))
    real_runtime.ensure(spec)
    name, numbers = spec.name, itertools.count()
    followed = real_runtime.logs(name, None, follow=True)
    assert next(followed).text == str(next(numbers))

    def used() -> float:
        found = real_runtime.stats(name)
        assert found is not None
        return found.cpu_seconds

    def written() -> int:
        return len(list(real_runtime.logs(name, None, follow=False)))

    begun = used()
    until(lambda: used() > begun + 0.1)
    real_runtime.freeze(name)
    until(lambda: written() == written())
    cpu, lines = used(), written()
    for _ in range(5):
        assert used() == pytest.approx(cpu, abs=0.01)
        assert written() == lines
    real_runtime.thaw(name)
    until(lambda: used() > cpu + 0.1 and written() > lines)
    for line in itertools.islice(followed, lines):
        assert line.text == str(next(numbers))
    real_runtime.stop(name, force=True)

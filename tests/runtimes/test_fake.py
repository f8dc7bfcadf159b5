"""The faults of the fake engine, on a clock of the test's own."""

from datetime import UTC, datetime, timedelta

import pytest

from runtimes.base import ContainerState, EngineRefused, EngineUnreachable, ImageMissing, Runtime, Spec
from runtimes.fake import FakeRuntime
from runtimes.fake_engine import FakeEngine, Fault, Program
from runtimes.registry import KINDS, make


class _Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def engine(clock: _Clock) -> FakeEngine:
    return FakeEngine(clock)


@pytest.fixture
def runtime(engine: FakeEngine) -> FakeRuntime:
    return FakeRuntime("i", engine)


LABELS = {"berth.instance": "i", "berth.allocation": "1", "berth.owner": "u", "berth.generation": "2"}
SPEC = Spec("berth-i-1-g2", "sha256:" + "0" * 64, LABELS, "net", 1.0, 1024**3, port=8888)


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.HANG, EngineUnreachable, False),
        (Fault.UNANSWERED, EngineUnreachable, True),
        (Fault.ERROR, EngineRefused, False),
        (Fault.IMAGE_MISSING, ImageMissing, False),
    ],
)
def test_a_fault_strikes_once(
    engine: FakeEngine, runtime: FakeRuntime, fault: Fault, error: type[Exception], done: bool
) -> None:
    engine.inject(fault)
    with pytest.raises(error):
        runtime.ensure(SPEC)
    assert (SPEC.name in engine.containers) is done
    assert runtime.ensure(SPEC).state is ContainerState.RUNNING


def test_a_slow_one_runs_when_its_time_has_come(engine: FakeEngine, runtime: FakeRuntime, clock: _Clock) -> None:
    engine.inject(Fault.SLOW)
    assert runtime.ensure(SPEC).state is ContainerState.CREATED
    assert runtime.inspect(SPEC.name).address is None
    clock.now += engine.slow_for
    found = runtime.inspect(SPEC.name)
    assert found.state is ContainerState.RUNNING
    assert found.started_at == clock.now
    assert found.address == "127.0.0.1:8888"


def test_one_may_never_run(engine: FakeEngine, runtime: FakeRuntime, clock: _Clock) -> None:
    engine.inject(Fault.NEVER)
    runtime.ensure(SPEC)
    clock.now += timedelta(days=1)
    assert runtime.ensure(SPEC).state is ContainerState.CREATED


def test_one_may_die_vanish_or_come_with_an_older_one(engine: FakeEngine, runtime: FakeRuntime) -> None:
    engine.inject(Fault.DIES)
    assert runtime.ensure(SPEC).exit_code == engine.dies_with
    runtime.remove(SPEC.name)
    engine.inject(Fault.LOST)
    assert runtime.ensure(SPEC).state is ContainerState.ABSENT
    engine.inject(Fault.DUPLICATE)
    runtime.ensure(SPEC)
    assert {one.name: one.labels["berth.generation"] for one in runtime.list("i")} == {
        "berth-i-1-g1": "1",
        "berth-i-1-g2": "2",
    }


def test_faults_may_strike_other_verbs_one_container_and_several_times(
    engine: FakeEngine, runtime: FakeRuntime
) -> None:
    runtime.ensure(SPEC)
    engine.inject(Fault.HANG, "inspect", SPEC.name, times=2)
    assert runtime.inspect("another").state is ContainerState.ABSENT
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            runtime.inspect(SPEC.name)
    assert runtime.inspect(SPEC.name).state is ContainerState.RUNNING
    engine.inject(Fault.HANG, "list")
    engine.clear_faults()
    assert len(runtime.list("i")) == 1


def test_a_restart_of_the_engine_ends_everything_with_its_time(
    engine: FakeEngine, runtime: FakeRuntime, clock: _Clock
) -> None:
    runtime.ensure(SPEC)
    clock.now += timedelta(seconds=5)
    engine.restart()
    found = runtime.inspect(SPEC.name)
    assert (found.exit_code, found.finished_at, found.address) == (137, clock.now, None)


def test_a_program_may_run_out_of_memory(engine: FakeEngine, runtime: FakeRuntime) -> None:
    engine.programs[()] = Program(exit_code=137, out_of_memory=True)
    assert runtime.ensure(SPEC).out_of_memory is True


def test_containers_can_stand_for_a_real_server(runtime: FakeRuntime, engine: FakeEngine) -> None:
    engine.address_of = lambda spec: "127.0.0.1:4321"
    assert runtime.ensure(SPEC).address == "127.0.0.1:4321"


def test_every_kind_can_be_made_by_its_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    options = {"local": {"root": tmp_path_factory.mktemp("local")}}
    for kind in KINDS:
        runtime: Runtime = make(kind, instance="i", **options.get(kind, {}))
        assert runtime.kind == kind
        assert runtime.isolated is (kind != "local")
    with pytest.raises(ValueError, match="podman"):
        make("podman")

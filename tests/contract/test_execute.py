"""Programs run beside a container's own: input, output, exit code and terminals."""

import secrets
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from runtimes.base import Command, EngineRefused, Execution, Runtime
from runtimes.fake_engine import Program
from tests.contract.names import MakeSpec, Until

Run = Callable[..., Execution]


@pytest.fixture
def run(real_runtime: Runtime, make_spec: MakeSpec) -> Iterator[Run]:
    """Run something beside a container that runs; closed at the end."""
    begun: list[Execution] = []

    def begin(*arguments: str, **more: object) -> Execution:
        spec = make_spec(real_runtime)
        real_runtime.ensure(spec)
        begun.append(real_runtime.execute(spec.name, Command(arguments, **more)))  # type: ignore[arg-type]
        return begun[-1]

    yield begin
    for execution in begun:
        execution.close()


def output(execution: Execution) -> dict[str, bytes]:
    told: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    while (piece := execution.read()) is not None:
        told[piece[0]] += piece[1]
    return told


def test_input_goes_in_and_both_outputs_come_out(run: Run) -> None:
    program = run("sh", "-c", "cat; echo bad >&2; exit 7")

    def give() -> None:
        program.write(b"x" * 300_000)
        program.write(b"\0\xff end")
        program.end_input()

    giving = threading.Thread(target=give)
    giving.start()
    told = output(program)
    giving.join()
    assert (told["stdout"], told["stderr"]) == (b"x" * 300_000 + b"\0\xff end", b"bad\n")
    assert program.exit_code() == 7


def test_the_first_output_is_not_lost(run: Run) -> None:
    for _ in range(10):
        assert output(run("echo", "at once"))["stdout"] == b"at once\n"


def test_a_terminal_has_the_size_asked_for(run: Run, until: Until) -> None:
    program = run("sh", "-c", "stty -echo; read x; stty size; read x; stty size", terminal=(101, 41))
    program.write(b"go\n")
    first = b""
    while b"41 101" not in first:
        piece = program.read()
        assert piece is not None, first
        first += piece[1]
    program.resize(90, 30)
    program.write(b"go\n")
    assert output(program)["stdout"].split()[-2:] == [b"30", b"90"]


def test_variables_are_given_and_it_runs_as_the_user(run: Run, real_runtime: Runtime) -> None:
    told = output(run("sh", "-c", 'echo "$WORD $(id -u)"', environment={"WORD": "hello"}))["stdout"].split()
    assert told[0] == b"hello"
    assert real_runtime.kind != "docker" or told[1] == b"1000"


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """Also where the tests were started with nohup, which all that they start would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hears_hangups")
def test_a_terminal_that_goes_away_ends_its_program(real_runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec, mine = make_spec(real_runtime), f"sleep {secrets.randbelow(10**9) + 10**6}"
    real_runtime.ensure(spec)
    program = real_runtime.execute(spec.name, Command(("sh", "-c", f"echo on; exec {mine}"), terminal=(80, 24)))
    assert program.read() is not None
    program.close()

    def gone() -> bool:
        listing = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
        asked = real_runtime.execute(spec.name, Command(("sh", "-c", listing)))
        return mine.encode() not in output(asked)["stdout"]

    assert until(gone)


def test_only_in_a_container_that_runs(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, Program(exit_code=0))
    with pytest.raises(EngineRefused):
        runtime.execute(spec.name, Command(("true",)))
    runtime.ensure(spec)
    list(runtime.logs(spec.name, None, follow=True))
    with pytest.raises(EngineRefused):
        runtime.execute(spec.name, Command(("true",)))


def test_never_in_another_instances(runtime: Runtime, neighbour: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime)
    runtime.ensure(spec)
    with pytest.raises(EngineRefused):
        neighbour.execute(spec.name, Command(("true",)))

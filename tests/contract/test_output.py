"""Logs, counters and events: the same for every driver."""

import threading
from datetime import timedelta

import pytest

from runtimes.base import ContainerState, LogLine, Runtime
from runtimes.fake_engine import Program
from runtimes.lines import CUT_MARK, LIMIT
from tests.contract.names import MakeSpec, Until


def _output(runtime: Runtime, make_spec: MakeSpec, program: Program) -> list[LogLine]:
    spec = make_spec(runtime, program)
    runtime.ensure(spec)
    return list(runtime.logs(spec.name, None, follow=True))


def test_both_streams_are_told_apart(runtime: Runtime, make_spec: MakeSpec) -> None:
    lines = _output(runtime, make_spec, Program(b"good\n", b"bad\n", exit_code=0))
    assert {(line.stream, line.text) for line in lines} == {("stdout", "good"), ("stderr", "bad")}
    assert all(line.at.utcoffset() == timedelta() for line in lines)


@pytest.mark.parametrize(
    ("output", "texts"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\r 1%\r 2%\r 3%\ndone\n", [" 1%", " 2%", " 3%", "done"]),
        (b"one\n\ntwo\n", ["one", "", "two"]),
        (b"no line end", ["no line end"]),
        (b"n\0u\0l\n", ["nul"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
        ("ä\x1b[31m<b>\n".encode(), ["ä\x1b[31m<b>"]),
    ],
)
def test_lines_are_split_and_cleaned(runtime: Runtime, make_spec: MakeSpec, output: bytes, texts: list[str]) -> None:
    assert [line.text for line in _output(runtime, make_spec, Program(output, exit_code=0))] == texts


def test_states_of_a_progress_bar_are_told_from_lines(runtime: Runtime, make_spec: MakeSpec) -> None:
    lines = _output(runtime, make_spec, Program(b"\r 1%\r 2%\rdone\r\nend\n", exit_code=0))
    assert [(line.text, line.returned) for line in lines] == [
        (" 1%", True),
        (" 2%", True),
        ("done", False),
        ("end", False),
    ]


def test_an_overlong_line_is_cut_and_the_next_is_whole(runtime: Runtime, make_spec: MakeSpec) -> None:
    lines = _output(runtime, make_spec, Program(b"x" * 50_000 + b"\nnext\n", exit_code=0))
    assert [line.text for line in lines][1:] == ["next"]
    assert lines[0].text.endswith(CUT_MARK)
    assert len(lines[0].text.encode()) == LIMIT


def test_since_gives_what_came_then_or_later(real_runtime: Runtime, make_spec: MakeSpec) -> None:
    code = "import time\nfor n in range(4):\n    print(n, flush=True)\n    time.sleep(0.02)"
    spec = make_spec(real_runtime, command=("python3", "-c", code))
    real_runtime.ensure(spec)
    lines = list(real_runtime.logs(spec.name, None, follow=True))
    assert [line.text for line in lines] == ["0", "1", "2", "3"]
    assert list(real_runtime.logs(spec.name, lines[2].at, follow=False)) == lines[2:]
    assert list(real_runtime.logs(spec.name, lines[3].at + timedelta(microseconds=1), follow=True)) == []


def test_following_shows_a_line_before_the_program_ends(runtime: Runtime, make_spec: MakeSpec) -> None:
    spec = make_spec(runtime, Program(b"ready\n", on_stop=0))
    runtime.ensure(spec)
    lines = runtime.logs(spec.name, None, follow=True)
    assert next(lines).text == "ready"
    assert runtime.inspect(spec.name).state is ContainerState.RUNNING
    runtime.stop(spec.name)
    assert list(lines) == []


def test_an_absent_container_has_no_log_and_no_counters(runtime: Runtime, make_spec: MakeSpec) -> None:
    name = make_spec(runtime).name
    assert list(runtime.logs(name, None, follow=False)) == []
    assert list(runtime.logs(name, None, follow=True)) == []
    assert runtime.stats(name) is None


def test_counters_are_there_while_it_runs_only(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(runtime)
    runtime.ensure(spec)
    first = until(lambda: runtime.stats(spec.name))
    second = until(lambda: runtime.stats(spec.name))
    assert first.memory > 0
    assert second.cpu_seconds >= first.cpu_seconds >= 0
    assert second.at > first.at
    runtime.stop(spec.name, force=True)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.EXITED)
    assert runtime.stats(spec.name) is None


def test_events_name_what_something_happened_to(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    seen: set[str] = set()

    def listen() -> None:
        for name in runtime.events():
            seen.add(name)

    threading.Thread(target=listen, daemon=True).start()

    def one_more_was_heard() -> bool:
        # Nothing says when listening has begun, so this goes on until it has.
        spec = make_spec(runtime)
        runtime.ensure(spec)
        runtime.remove(spec.name)
        return bool(seen)

    until(one_more_was_heard)


def test_processes_are_listed_while_it_runs_only(runtime: Runtime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(runtime)
    assert runtime.processes(spec.name) is None
    runtime.ensure(spec)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.RUNNING)
    found = runtime.processes(spec.name)
    assert found is not None
    assert not [one for one in found if one.terminal]
    runtime.stop(spec.name, force=True)
    until(lambda: runtime.inspect(spec.name).state is ContainerState.EXITED)
    assert runtime.processes(spec.name) is None

"""The log of a container that writes more than its engine keeps, faster than it is read."""

import time

import pytest

from runtimes.base import ContainerState
from runtimes.docker import DockerRuntime
from runtimes.lines import CUT_MARK
from tests.contract.names import MakeSpec, Until

pytestmark = pytest.mark.docker

LINES = 150_000
TEXT = "x" * 500
"""Together more than the engine keeps."""
WRITE = f"for n in range({LINES}): print(n, {TEXT!r})"
ENDLESS = "import os, sys\nfor _ in range(3200): os.write(1, b'x' * 65536)\nprint('\\nnext')\nsys.exit(3)"


def test_no_line_is_lost_however_slowly_it_is_read(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> None:
    spec = make_spec(docker_runtime, command=("python3", "-c", WRITE))
    docker_runtime.ensure(spec)
    count = 0
    for line in docker_runtime.logs(spec.name, None, follow=True):
        assert line.text == f"{count} {TEXT}"
        count += 1
        if count % 1000 == 0:
            time.sleep(0.03)
    assert count == LINES


def test_what_nobody_reads_holds_nothing_up(docker_runtime: DockerRuntime, make_spec: MakeSpec, until: Until) -> None:
    spec = make_spec(docker_runtime, command=("python3", "-c", "print('x' * 2_000_000)\nprint('over')"))
    docker_runtime.ensure(spec)
    lines = docker_runtime.logs(spec.name, None, follow=True)
    assert next(lines).text.endswith(CUT_MARK)
    until(lambda: docker_runtime.inspect(spec.name).state is ContainerState.EXITED)
    assert [line.text for line in lines] == ["over"]


def test_a_line_of_200_megabytes_is_cut_and_the_next_is_whole(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, until: Until
) -> None:
    spec = make_spec(docker_runtime, command=("python3", "-c", ENDLESS))
    docker_runtime.ensure(spec)
    cut, *others = [line.text for line in docker_runtime.logs(spec.name, None, follow=True)]
    assert cut.endswith(CUT_MARK)
    assert others == ["next"]
    until(lambda: docker_runtime.inspect(spec.name).exit_code == 3)

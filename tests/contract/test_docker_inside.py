"""The container baseline as it is seen from inside a real container."""

import ast
from collections.abc import Callable
from typing import Any

import pytest

from runtimes.base import ContainerState, Mount
from runtimes.docker import DockerRuntime
from tests.contract.names import INSTANCE, MakeSpec, Until

pytestmark = pytest.mark.docker

Inside = Callable[..., Any]


@pytest.fixture
def inside(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> Inside:
    """What the Python code puts into `answer` when it runs in a container of these fields."""

    def run(code: str, **fields: Any) -> Any:
        program = f"import os\nanswer = None\n{code}\nprint(repr(answer))"
        spec = make_spec(docker_runtime, command=("python3", "-c", program), **fields)
        docker_runtime.ensure(spec)
        lines = [line.text for line in docker_runtime.logs(spec.name, None, follow=True)]
        docker_runtime.remove(spec.name)
        assert lines, "the program printed nothing"
        try:
            return ast.literal_eval(lines[-1])
        except (ValueError, SyntaxError):
            pytest.fail("\n".join(lines))

    return run


def test_it_is_an_ordinary_user_without_any_privilege(inside: Inside) -> None:
    code = "answer = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)"
    status = {name: value.split() for name, value in inside(code).items()}
    assert set(status["Uid"]) == set(status["Gid"]) == {"1000"}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities][0], 16) == 0
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]


def test_memory_cpu_and_processes_are_limited(inside: Inside) -> None:
    code = """
def first(*paths):
    paths = [f'/sys/fs/cgroup/{path}' for path in paths]
    return next(open(path).read().split() for path in paths if os.path.exists(path))
memory = int(first('memory/memory.limit_in_bytes', 'memory.max')[0])
cpu = first('cpu/cpu.cfs_quota_us', 'cpu.max')
answer = [memory, int(cpu[0]), int(first('pids/pids.max', 'pids.max')[0])]
"""
    assert inside(code, memory=96 * 1024**2, cpu=0.25, pids=77) == [96 * 1024**2, 25_000, 77]


def test_a_fork_bomb_stops_at_the_limit(inside: Inside) -> None:
    code = """
import time
answer = 0
try:
    while answer < 1000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        answer += 1
except BlockingIOError:
    pass
"""
    assert inside(code, pids=40) < 40


def test_running_out_of_memory_is_told(docker_runtime: DockerRuntime, make_spec: MakeSpec, until: Until) -> None:
    code = "held = []\nwhile True: held.append(bytearray(b'x') * 1_000_000)"
    spec = make_spec(docker_runtime, command=("python3", "-c", code), memory=48 * 1024**2)
    docker_runtime.ensure(spec)
    until(lambda: docker_runtime.inspect(spec.name).state is ContainerState.EXITED)
    ended = docker_runtime.inspect(spec.name)
    assert ended.exit_code == 137
    assert ended.out_of_memory is True


def test_tmp_is_sized_and_may_hold_programs(inside: Inside) -> None:
    code = """
with open('/tmp/program', 'w') as file:
    file.write('#!/bin/sh\\necho ran\\n')
os.chmod('/tmp/program', 0o755)
ran = os.popen('/tmp/program').read().strip()
try:
    with open('/tmp/full', 'wb') as file:
        for _ in range(64):
            file.write(bytes(1024 * 1024))
    full = 'no'
except OSError as error:
    full = os.strerror(error.errno)
sizes = [os.statvfs(path) for path in ('/tmp', '/dev/shm')]
answer = [ran, full, [size.f_blocks * size.f_frsize for size in sizes], oct(os.stat('/tmp').st_mode)]
"""
    sizes = [16 * 1024**2, 24 * 1024**2]
    found = inside(code, tmp=sizes[0], shm=sizes[1])
    assert found == ["ran", "No space left on device", sizes, "0o41777"]


def test_there_is_no_engine_socket_and_no_device_of_the_host(inside: Inside) -> None:
    code = """
sockets = [path for path in ('/var/run/docker.sock', '/run/docker.sock') if os.path.exists(path)]
answer = [sockets, sorted(os.listdir('/dev')), os.environ.get('NVIDIA_VISIBLE_DEVICES')]
"""
    sockets, devices, gpus = inside(code, environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    assert sockets == []
    ordinary = {"core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"}
    ordinary |= {"stderr", "stdin", "stdout", "tty", "urandom", "zero", "console"}
    assert set(devices) <= ordinary
    assert gpus == "void"


def test_the_engine_was_told_nothing_more(docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any) -> None:
    spec = make_spec(docker_runtime, mounts=(Mount(f"{INSTANCE}-told", "/home/berth"),))
    docker_runtime.ensure(spec)
    found = engine.inspect_container(spec.name)
    host = found["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["AutoRemove"] is host["Privileged"] is host["PublishAllPorts"] is False
    assert not host["Binds"]
    assert not host["Devices"]
    assert not host["CapAdd"]
    assert not host["PidMode"]
    assert not host["UTSMode"]
    assert host["IpcMode"] == host["CgroupnsMode"] == "private"
    assert host["MemorySwap"] == host["Memory"] == spec.memory
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}}
    assert host["Init"] is True
    assert [mount["Type"] for mount in found["Mounts"]] == ["volume"]


def test_a_new_volume_belongs_to_the_user_and_an_old_one_stays_as_it_is(
    docker_runtime: DockerRuntime, inside: Inside, engine: Any
) -> None:
    team = Mount(f"{INSTANCE}-team", "/home/team", labels={"berth.owner": "team-1"})
    code = """
open('/home/team/note', 'a').write('x')
found = os.stat('/home/team')
answer = [found.st_uid, found.st_gid, oct(found.st_mode), os.path.getsize('/home/team/note')]
os.chmod('/home/team', 0o700)
"""
    assert inside(code, mounts=(team,)) == [1000, 1000, "0o40755", 1]
    assert inside(code, mounts=(team,)) == [1000, 1000, "0o40700", 2]
    labels = engine.inspect_volume(team.volume)["Labels"]
    assert labels == {"berth.instance": INSTANCE, "berth.owner": "team-1"}
    read_only = Mount(team.volume, "/data/team", read_only=True)
    code = """
try:
    open('/data/team/note', 'a').write('x')
except OSError as error:
    answer = os.strerror(error.errno)
"""
    assert inside(code, mounts=(read_only,)) == "Read-only file system"
    docker_runtime.remove_volume(team.volume)


def test_a_huge_line_is_cut_and_costs_no_memory(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> None:
    code = "import os\nfor _ in range(300): os.write(1, b'x' * 65536)\nos.write(1, b'\\nafter\\n')"
    spec = make_spec(docker_runtime, command=("python3", "-c", code))
    docker_runtime.ensure(spec)
    lines = [line.text for line in docker_runtime.logs(spec.name, None, follow=True)]
    assert lines[-1] == "after"
    assert max(len(line) for line in lines) <= 8192
    assert len(lines) == 2

"""Who can reach whom: users apart from each other, and all of them apart from the host."""

import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtimes import isolation
from runtimes.base import HOST, EngineRefused, Mount, Observation, RuntimeFailure, Spec
from runtimes.docker import DockerRuntime
from runtimes.fake_engine import Program
from tests.contract.names import INSTANCE, NETWORKS, MakeSpec, Until

pytestmark = pytest.mark.docker

_SERVE = "import socket\ns = socket.create_server(('', 8000))\nprint('ready', flush=True)\nwhile True: s.accept()"
_CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    try:
        socket.create_connection((host, int(port)), 5).close()
        print('open')
    except OSError as error:
        print('closed')
"""


@pytest.fixture
def isolated() -> Iterator[None]:
    isolation.apply(INSTANCE, NETWORKS)
    yield
    isolation.remove(INSTANCE)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """`ip:port` of a server on a public address behind this host: a network namespace of our own."""
    name, near, far = f"berth-{INSTANCE}", "198.51.100.1", "198.51.100.2"
    link = f"b{INSTANCE.rpartition('-')[2]}"
    inside = ["ip", "netns", "exec", name]
    for command in (
        ["ip", "netns", "add", name],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["ip", "addr", "add", f"{near}/30", "dev", link],
        ["ip", "link", "set", link, "up"],
        [*inside, "ip", "addr", "add", f"{far}/30", "dev", "eth0"],
        [*inside, "ip", "link", "set", "eth0", "up"],
    ):
        subprocess.run(command, check=True)
    serve = _SERVE.replace("8000", "443")
    server = subprocess.Popen([*inside, "python3", "-c", serve], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield f"{far}:443"
    finally:
        server.kill()
        server.wait()
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _serving(runtime: DockerRuntime, spec: Spec, until: Until) -> Observation:
    found = runtime.ensure(spec)
    until(lambda: list(runtime.logs(spec.name, None, follow=False)))
    return found


def _reaches(runtime: DockerRuntime, make_spec: MakeSpec, network: str, *targets: str) -> list[str]:
    spec = make_spec(runtime, command=("python3", "-c", _CONNECT, *targets), network=network)
    runtime.ensure(spec)
    return [line.text for line in runtime.logs(spec.name, None, follow=True)]


def _rules() -> str:
    """Ours only: the engine and other instances write their own at the same time."""
    rows = subprocess.run(["iptables", "-S"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = (isolation._comment(INSTANCE), *(isolation._chain(INSTANCE, part) for part in ("out", "host")))
    return "\n".join(row for row in rows if any(name in row for name in ours))


def test_only_the_host_reaches_a_workspace(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, until: Until, isolated: None
) -> None:
    mine, other = f"berth-{INSTANCE}-alice", f"berth-{INSTANCE}-bob"
    spec = make_spec(docker_runtime, command=("python3", "-c", _SERVE), port=8000, network=mine)
    address = _serving(docker_runtime, spec, until).address or ""
    host, port = address.split(":")
    socket.create_connection((host, int(port)), 5).close()
    assert _reaches(docker_runtime, make_spec, other, address) == ["closed"]
    assert _reaches(docker_runtime, make_spec, mine, address) == ["closed"]


def test_users_are_apart_without_the_packet_filter_too(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, until: Until
) -> None:
    mine, other = f"berth-{INSTANCE}-alice", f"berth-{INSTANCE}-bob"
    spec = make_spec(docker_runtime, command=("python3", "-c", _SERVE), port=8000, network=mine)
    address = _serving(docker_runtime, spec, until).address or ""
    for network in (mine, other):
        assert _reaches(docker_runtime, make_spec, network, address) == ["closed"]


def test_the_host_is_closed_and_public_addresses_are_open(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, isolated: None, elsewhere: str
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        bridge = "172.17.0.1"
        targets = [f"{bridge}:{port}", "169.254.169.254:80", f"{isolation._address_of_host()}:{port}"]
        reached = _reaches(docker_runtime, make_spec, f"berth-{INSTANCE}-alice", *targets, elsewhere)
    assert reached == ["closed", "closed", "closed", "open"]


def test_the_canary_finds_an_open_door_and_no_closed_one(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> None:
    spec = make_spec(docker_runtime, Program(), network=f"berth-{INSTANCE}-canary")
    before = isolation.canary(docker_runtime, spec, [])
    assert isolation._address_of_host() in [target.split(":")[0] for target in before]
    isolation.apply(INSTANCE, NETWORKS)
    try:
        assert isolation.canary(docker_runtime, spec, []) == []
    finally:
        isolation.remove(INSTANCE)


def test_guarding_closes_the_door_and_leaves_nothing(docker_runtime: DockerRuntime, docker_image: str) -> None:
    try:
        assert docker_runtime.guard(docker_image) == ()
        assert isolation._chain(INSTANCE, "out") in _rules()
        assert docker_runtime.list(INSTANCE) == []
    finally:
        isolation.remove(INSTANCE)
    assert "may reach this machine" in docker_runtime.guard("sha256:" + "d" * 64)[0]
    isolation.remove(INSTANCE)


def test_a_canary_that_cannot_look_is_no_proof(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> None:
    spec = make_spec(docker_runtime, image="sha256:" + "d" * 64, network=f"berth-{INSTANCE}-canary")
    with pytest.raises(RuntimeFailure):
        isolation.canary(docker_runtime, spec, [])


def test_ranges_can_be_opened_and_closed_on_purpose(docker_runtime: DockerRuntime, make_spec: MakeSpec) -> None:
    address = isolation._address_of_host()
    with socket.create_server(("0.0.0.0", 0)) as listener:
        target = f"{address}:{listener.getsockname()[1]}"
        try:
            isolation.apply(INSTANCE, NETWORKS, allow=[f"{address}/32"])
            network = f"berth-{INSTANCE}-alice"
            assert _reaches(docker_runtime, make_spec, network, target) == ["open"]
            isolation.apply(INSTANCE, NETWORKS)
            assert _reaches(docker_runtime, make_spec, network, target) == ["closed"]
        finally:
            isolation.remove(INSTANCE)


def test_of_this_machine_the_door_is_open_by_its_name_and_nothing_else(
    docker_runtime: DockerRuntime, make_spec: MakeSpec
) -> None:
    network = f"berth-{INSTANCE}-alice"
    with socket.create_server(("0.0.0.0", 0)) as door, socket.create_server(("0.0.0.0", 0)) as other:
        ports = [listener.getsockname()[1] for listener in (door, other)]
        targets = [f"{HOST}:{port}" for port in ports] + [f"{isolation._address_of_host()}:{ports[1]}"]
        isolation.apply(INSTANCE, NETWORKS, door=ports[0])
        try:
            spec = make_spec(
                docker_runtime, command=("python3", "-c", _CONNECT, *targets), network=network, knows_host=True
            )
            docker_runtime.ensure(spec)
            reached = [line.text for line in docker_runtime.logs(spec.name, None, follow=True)]
        finally:
            isolation.remove(INSTANCE)
    assert reached == ["open", "closed", "closed"]


def test_rules_are_applied_once_and_removed_whole() -> None:
    assert _rules() == ""
    try:
        isolation.apply(INSTANCE, "10.218.0.0/16", deny=["203.0.113.7/32"])
        isolation.apply(INSTANCE, NETWORKS)
        once = _rules()
        isolation.apply(INSTANCE, NETWORKS)
        assert _rules() == once
        assert once.count(f"berth-{INSTANCE}") == 2
        assert "10.218.0.0/16" not in once
        assert "203.0.113.7" not in once
    finally:
        isolation.remove(INSTANCE)
    assert _rules() == ""
    isolation.remove(INSTANCE)


@pytest.mark.parametrize("said", [None, "iptables-restore: Permission denied (you must be root)"])
def test_without_the_right_it_says_so(said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if said:
        program = tmp_path / "iptables-restore"
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 4\n")
        program.chmod(0o755)
    monkeypatch.setattr(isolation, "_ENVIRONMENT", {"PATH": str(tmp_path)})
    with pytest.raises(EngineRefused, match=said.split(":")[1].split("(")[0] if said else "missing"):
        isolation.apply(INSTANCE, NETWORKS)


def test_a_users_network_is_small_labelled_and_without_traffic_inside(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any
) -> None:
    spec = make_spec(docker_runtime)
    docker_runtime.ensure(spec)
    found = engine.inspect_network(spec.network)
    assert found["IPAM"]["Config"][0]["Subnet"].endswith("/28")
    assert found["IPAM"]["Config"][0]["Subnet"].startswith("10.219.")
    assert found["Options"] == {"com.docker.network.bridge.enable_icc": "false"}
    assert found["Labels"] == {"berth.instance": INSTANCE, "berth.owner": "user-1"}
    with pytest.raises(EngineRefused):
        docker_runtime.remove_network(spec.network)


def test_a_network_of_somebody_else_is_not_used(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any
) -> None:
    name = f"{INSTANCE}-foreign"
    made = engine.create_network(name, driver="bridge")
    try:
        with pytest.raises(EngineRefused):
            docker_runtime.ensure(make_spec(docker_runtime, network=name))
        with pytest.raises(EngineRefused):
            docker_runtime.remove_network(name)
    finally:
        engine.remove_network(made["Id"])


def test_a_volume_of_somebody_else_is_not_mounted(
    docker_runtime: DockerRuntime, make_spec: MakeSpec, engine: Any
) -> None:
    spec = make_spec(docker_runtime)
    name = f"{INSTANCE}-foreign"
    engine.create_volume(name)
    try:
        with pytest.raises(EngineRefused):
            docker_runtime.ensure(replace(spec, mounts=(Mount(name, "/home/berth"),)))
        with pytest.raises(EngineRefused):
            docker_runtime.remove_volume(name)
    finally:
        engine.remove_volume(name)


def test_a_full_range_is_told_and_neighbouring_ranges_are_tried(make_spec: MakeSpec) -> None:
    room_for_two = f"10.220.{secrets.randbelow(256)}.{32 * secrets.randbelow(8)}/27"  # a killed run may hold another
    runtime = DockerRuntime(INSTANCE, networks=room_for_two)
    specs = [make_spec(runtime, network=f"berth-{INSTANCE}-full-{n}") for n in range(3)]
    for spec in specs[:2]:
        runtime.ensure(spec)
    with pytest.raises(EngineRefused, match=re.escape(room_for_two)):
        runtime.ensure(specs[2])

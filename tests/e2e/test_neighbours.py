"""People and their workspaces do not see, reach or delay each other."""

import socket
from collections.abc import Iterator

import pytest

from tests.callers import Caller
from tests.system import Berth, held_pull

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

KNOCK = """
import socket
try:
    socket.create_connection({target!r}, timeout=3).close()
    print("open")
except OSError as error:
    print("closed")
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A service of the host, on all its addresses."""
    with socket.create_server(("0.0.0.0", 0)) as found:
        yield found


def test_another_persons_workspace_does_not_exist(berth: Berth, scientist: Caller, outsider: Caller) -> None:
    pk = scientist.running()
    for method, path in (("GET", ""), ("GET", "logs/"), ("POST", "stop/"), ("POST", "start/"), ("DELETE", "")):
        assert outsider.send(method, f"/workspaces/{pk}/{path}").status == 404
    assert pk not in [workspace["id"] for workspace in outsider.mine()]
    assert outsider.visit(pk).status == 403
    assert Caller(outsider.server, "").visit(pk, Authorization="").status == 401
    assert scientist.visit(pk).status == 200


def test_a_colleague_who_leads_the_team_sees_it_and_may_stop_but_not_use_it(berth: Berth, scientist: Caller) -> None:
    pk, lead = scientist.running(), berth.api("lead")
    assert lead.workspace(pk)["state"] == "running"
    assert lead.visit(pk).status == 403
    lead.act(pk, "stop")
    scientist.wait(pk, "stopped")


def test_a_workspace_gets_neither_the_token_nor_the_cookie_of_berth(scientist: Caller) -> None:
    pk = scientist.running()
    seen = scientist.visit(pk, "/echo", Cookie="theme=dark; berth-workspace=x").body.decode()
    assert scientist.token not in seen
    assert "Authorization: token " in seen


def test_nothing_private_is_reachable_from_inside(
    berth: Berth, scientist: Caller, outsider: Caller, listener: socket.socket
) -> None:
    mine, theirs = scientist.running(), outsider.running()
    inside = scientist.workspace(mine)
    neighbour = berth.engine.address_of(berth.container(outsider.workspace(theirs)))
    own = berth.engine.address_of(berth.container(inside))
    gateway = own.rsplit(".", 1)[0] + "." + str(int(own.rsplit(".", 1)[1]) // 16 * 16 + 1)
    host_port, portal = listener.getsockname()[1], berth.server.port

    def knocks(address: str, port: int) -> str:
        return berth.inside(inside, KNOCK.format(target=(address, port))).strip()

    assert knocks("127.0.0.1", 8888) == "open"  # the question itself works
    assert knocks(neighbour, 8888) == "closed"
    assert knocks("169.254.169.254", 80) == "closed"
    for address in (gateway, "172.17.0.1", host_address()):
        assert knocks(address, host_port) == "closed", address
        assert knocks(address, portal) == "closed", address


def host_address() -> str:
    """The one that the host uses towards the internet; no packet is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))
        return str(probe.getsockname()[0])


def test_no_door_of_the_engine_or_the_databases_is_mounted_inside(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    code = "import os; print(*[os.path.join(d, f) for d, _, fs in os.walk('/run') for f in fs if f.endswith('.sock')])"
    assert berth.inside(scientist.workspace(pk), code).strip() == ""
    mounts = berth.engine.run(
        "inspect",
        "--format",
        "{{range .Mounts}}{{.Type}} {{.Destination}};{{end}}",
        berth.container(scientist.workspace(pk)),
    )
    assert set(mounts.strip().strip(";").split(";")) == {"volume /home/berth", "volume /home/vision"}


def test_pulls_that_hang_delay_nobody_else_and_go_on_when_they_can(
    berth: Berth, scientist: Caller, outsider: Caller
) -> None:
    """Two, because Docker as it comes downloads three layers at once: for more of them see tests/chaos."""
    berth.registry.hold()
    waiting = [held_pull(berth, scientist, name) for name in ("slow", "slow-too")]
    berth.publish("quick", berth.registry.add_image("quick", berth.tiny))
    outsider.wait(outsider.launch("quick"), "running")
    outsider.running()
    assert [scientist.phase(pk) for pk in waiting] == ["pulling", "pulling"]
    berth.registry.let_go()
    for pk in waiting:
        scientist.wait(pk, "running")

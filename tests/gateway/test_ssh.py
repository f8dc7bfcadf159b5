"""The SSH door with a real client, in front of the fake engine: who gets in, where to, and when it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from django.db import connection

from environments import actions
from environments.models import Workspace
from portal.accounts import keys
from portal.audit.models import AuditEvent
from portal.compute import execution
from portal.compute.agent import executing
from portal.gateway.ssh import door
from portal.lib.errors import Forbidden
from tests.conftest import People
from tests.system import free_ports

pytestmark = pytest.mark.django_db(transaction=True)
Scene = Callable[["At"], Awaitable[Any]]


class At:
    """A door, and a key in vera's profile."""

    def __init__(self, port: int, key: asyncssh.SSHKey) -> None:
        self.port, self.key = port, key

    def connect(self, user: str, key: asyncssh.SSHKey | None = None, **more: Any) -> Any:
        options: Any = {"client_keys": [key or self.key], "known_hosts": None, "config": [], "agent_path": None}
        return asyncssh.connect("127.0.0.1", self.port, username=user, **options, **more)


@pytest.fixture
def key(people: People) -> asyncssh.SSHKey:
    made = asyncssh.generate_private_key("ssh-ed25519")
    keys.add(people.vera, made.export_public_key().decode(), "laptop", actor="vera")
    return made


@pytest.fixture
def running(make_workspace: Any, settle: Any) -> Workspace:
    workspace: Workspace = make_workspace(name="churn")
    settle()
    return workspace


@pytest.fixture
def play(
    key: asyncssh.SSHKey, fake_engine: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Scene], Any]:
    """Run a scene with the door and the agent's side of it up."""
    settings.EXECUTE_SOCKET = str(tmp_path / "x.sock")
    settings.SSH_HOST_KEY = tmp_path / "host-key"
    monkeypatch.setattr(execution, "runtime", lambda: fake_engine.driver)
    monkeypatch.setattr(door, "CHECK_SECONDS", 0.05)
    connection.settings_dict["CONN_MAX_AGE"] = 0

    async def whole(scene: Scene) -> Any:
        port = free_ports(1)
        sides = [asyncio.create_task(door.serve(port)), asyncio.create_task(executing.execute())]
        while not Path(settings.EXECUTE_SOCKET).exists() or not await _listens(port):
            await asyncio.sleep(0.01)
        try:
            return await asyncio.wait_for(scene(At(port, key)), 30)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    return lambda scene: asyncio.run(whole(scene))


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def test_a_command_runs_and_its_input_comes_back(play: Any, running: Workspace) -> None:
    async def scene(at: At) -> Any:
        async with at.connect(running.pk.lower()) as client:
            return await client.run("nvidia-smi", input="some input", encoding="utf-8")

    done = play(scene)
    assert (done.stdout, done.exit_status) == ("/bin/bash -c nvidia-smi\nsome input", 0)
    event = AuditEvent.objects.get(verb="workspace.ssh")
    assert (event.actor, event.target) == ("vera", running.topic)


def test_the_name_of_the_workspace_will_do_and_a_terminal_is_passed_on(play: Any, running: Workspace) -> None:
    async def scene(at: At) -> Any:
        async with at.connect("churn") as client:
            process = await client.create_process(term_type="xterm", term_size=(91, 31))
            first = await process.stdout.readline()
            process.change_terminal_size(70, 20)
            second = await process.stdout.readline()
            process.stdin.write_eof()
            await process.wait()
            return first, second

    assert play(scene) == ("/bin/bash -l\n", "70 x 20\n")


def test_sftp_and_ports_are_programs_in_the_workspace(play: Any, running: Workspace) -> None:
    async def scene(at: At) -> Any:
        async with at.connect("churn") as client:
            reader, writer = await client.open_connection("localhost", 8888)
            told = await reader.readline()
            writer.close()
            _, stdout, _ = await client.open_session(subsystem="sftp", encoding="utf-8")
            return told, await stdout.readline()

    assert play(scene) == (b"/opt/berth/connect 8888\n", "/usr/lib/openssh/sftp-server\n")


def test_no_other_machine_is_reached_and_nothing_is_let_in_from_there(play: Any, running: Workspace) -> None:
    async def scene(at: At) -> None:
        async with at.connect("churn") as client:
            for host in ("169.254.169.254", "postgres", "0.0.0.0"):
                with pytest.raises(asyncssh.ChannelOpenError, match="localhost"):
                    await client.open_connection(host, 5432)
            with pytest.raises(asyncssh.ChannelListenError):
                await client.forward_remote_port("", 9999, "localhost", 9999)

    play(scene)


def test_an_unknown_key_and_a_deleted_one_are_refused(play: Any, running: Workspace, people: People) -> None:
    async def scene(at: At) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            await at.connect("churn", asyncssh.generate_private_key("ssh-ed25519"))
        await asyncio.to_thread(_delete_keys, people.vera)
        with pytest.raises(asyncssh.PermissionDenied):
            await at.connect("churn")

    play(scene)


def test_who_has_no_key_that_opens_is_told_why(play: Any, running: Workspace, people: People) -> None:
    said: list[str] = []

    class Client(asyncssh.SSHClient):
        def auth_banner_received(self, msg: str, lang: str) -> None:
            said.append(msg)

        asked = False

        def kbdint_auth_requested(self) -> str | None:
            """Once, as OpenSSH does."""
            first, self.asked = not self.asked, True
            return "" if first else None

    async def scene(at: At) -> None:
        async with at.connect("churn", client_factory=Client):
            assert said == []
        await asyncio.to_thread(_delete_keys, people.vera)
        with pytest.raises(asyncssh.PermissionDenied):
            await at.connect("churn", client_factory=Client)

    play(scene)
    assert ["was deleted there" in sentence and "/keys/" in sentence for sentence in said] == [True]


def _delete_keys(user: Any) -> None:
    for one in user.public_keys.all():
        keys.delete(one, actor=user.username)
    connection.close()


def test_another_persons_workspace_and_one_that_does_not_run_are_refused_with_the_reason(
    play: Any, running: Workspace, make_workspace: Any, people: People, settle: Any
) -> None:
    luis = make_workspace(owner=people.luis, name="his")
    settle()
    make_workspace(name="waiting")
    said = {luis.pk: "no workspace", "his": "no workspace", "waiting": "not running but queued"}

    async def scene(at: At) -> None:
        for name, reason in said.items():
            async with at.connect(name) as client:
                done = await client.run("id")
                assert (done.exit_status, reason in done.stderr) == (1, True), done.stderr
                with pytest.raises(asyncssh.ChannelOpenError):
                    await client.open_connection("localhost", 8888)

    play(scene)


@pytest.mark.parametrize("ending", ["stop", "key", "account"])
def test_an_open_connection_is_cut_when_its_right_ends(
    play: Any, running: Workspace, people: People, ending: str
) -> None:
    def end() -> None:
        if ending == "stop":
            actions.stop(running, actor="vera")
        elif ending == "key":
            _delete_keys(people.vera)
        else:
            type(people.vera).objects.filter(pk=people.vera.pk).update(is_active=False)
        connection.close()

    async def scene(at: At) -> Any:
        client = await at.connect("churn")
        process = await client.create_process("cat")
        await process.stdout.readline()
        await asyncio.to_thread(end)
        await client.wait_closed()
        return process.exit_status

    assert play(scene) is None


def test_the_agent_asks_for_the_right_itself(play: Any, running: Workspace, people: People) -> None:
    request: dict[str, Any] = {
        "allocation": running.allocation_id,
        "arguments": ["id"],
        "environment": {},
        "terminal": None,
    }
    assert execution.begin({**request, "user": people.vera.pk}).read()
    for stranger in (people.luis, people.oda, people.ada):
        with pytest.raises(Forbidden):
            execution.begin({**request, "user": stranger.pk})

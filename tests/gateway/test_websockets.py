"""WebSockets: who may open one, what it carries, and that a lost right cuts it."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from environments import actions as workspaces
from portal.accounts.actions import add_member, create_token, create_user, revoke_token
from portal.accounts.models import Membership, Role, Team
from portal.compute.models import Allocation
from portal.gateway import relay
from tests.gateway.desk import Desk
from tests.gateway.door import Visitor, until
from tests.gateway.stack import Stack, free_port

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
LetIn = Callable[..., Visitor]


def refusal(visitor: Visitor, **how: Any) -> int:
    with pytest.raises(InvalidStatus) as refused, visitor.talk(**how):
        pass
    return refused.value.response.status_code


def test_the_owner_talks_and_the_desk_sees_its_secret_but_not_our_cookie(
    run_at: Run, let_in: LetIn, talking_desk: Desk
) -> None:
    visitor = let_in(run_at(talking_desk))
    with visitor.talk(headers=[("X-Berth-Upstream", "127.0.0.1:1"), ("X-Upstream", "127.0.0.1:1")]) as connection:
        connection.send("hello")
        assert connection.recv(timeout=20) == "hello"
    seen = talking_desk.seen[-1]
    assert seen["path"] == f"{visitor.prefix}socket"
    assert ("Authorization", f"token {talking_desk.secret}") in seen["headers"]
    assert visitor.session not in str(seen)
    assert not [
        name for name, _ in seen["headers"] if name.lower() in ("x-berth-upstream", "x-berth-session", "x-upstream")
    ]


def test_the_workspaces_own_cookies_pass(run_at: Run, let_in: LetIn, talking_desk: Desk) -> None:
    visitor = let_in(run_at(talking_desk))
    ((_, ours),) = visitor.cookie
    with Visitor(visitor.port, visitor.workspace).talk(headers=[("Cookie", f"_xsrf=2|a; {ours}; b=2")]):
        pass
    assert ("Cookie", "_xsrf=2|a; b=2") in talking_desk.seen[-1]["headers"]


def test_much_passes_both_ways_whole(run_at: Run, let_in: LetIn, talking_desk: Desk) -> None:
    visitor = let_in(run_at(talking_desk))
    with visitor.talk() as connection:
        for number in range(20):
            message = bytes([number]) * (1 << 20)
            connection.send(message)
            assert connection.recv(timeout=30) == message


def test_a_foreign_origin_or_none_is_refused(run_at: Run, let_in: LetIn, talking_desk: Desk) -> None:
    visitor = let_in(run_at(talking_desk))
    assert visitor.ask().status != 403  # its session is good, and now in the cache
    before = len(talking_desk.seen)
    for origin in (
        "http://evil.example",
        "null",
        visitor.origin + ".evil.example",
        visitor.origin.replace("http", "https"),
        None,
    ):
        assert refusal(visitor, origin=origin) == 403
    assert len(talking_desk.seen) == before


def test_without_a_right_it_is_refused(run_at: Run, let_in: LetIn, talking_desk: Desk, desk: Desk, people: Any) -> None:
    mine = run_at(talking_desk)
    stranger = let_in(run_at(desk, people.oda))
    assert refusal(stranger.at(mine.pk)) == 403
    assert refusal(Visitor(stranger.port, mine.pk)) == 401
    assert talking_desk.seen == []


def test_a_token_needs_no_origin_but_may_not_come_from_a_foreign_one(
    run_at: Run, stack: Stack, talking_desk: Desk
) -> None:
    workspace = run_at(talking_desk)
    secret = create_token(workspace.owner, "juno", ["workspaces:write"], 1, actor="test").secret
    program, token = Visitor(stack.port, workspace.pk), [("Authorization", f"token {secret}")]
    with program.talk(origin=None, headers=token) as connection:
        connection.send("hello")
        assert connection.recv(timeout=20) == "hello"
    assert secret not in str(talking_desk.seen)
    assert refusal(program, origin="http://evil.example", headers=token) == 403


def test_a_reused_address_refuses(run_at: Run, let_in: LetIn, talking_desk: Desk, people: Any) -> None:
    visitor = let_in(run_at(talking_desk))
    run_at(talking_desk, people.oda)
    assert refusal(visitor) == 403


def test_an_address_where_no_container_can_be_is_never_gone_to(run_at: Run, let_in: LetIn, talking_desk: Desk) -> None:
    workspace = run_at(talking_desk)
    visitor = let_in(workspace)
    Allocation.objects.filter(pk=workspace.allocation_id).update(address="192.0.2.1:80")
    assert refusal(visitor) == 503


@pytest.mark.parametrize(
    "head",
    [
        "X-Berth-Upstream: 192.0.2.1:80\r\nX-Berth-Session: session:x",
        "X-Berth-Upstream: localhost:80\r\nX-Berth-Session: session:x",
        "X-Berth-Upstream: 127.0.0.1:80",
        "X-Berth-Session: session:x",
        "X-Berth-Upstream: 127.0.0.1:x\r\nX-Berth-Session: session:x",
    ],
)
def test_the_relay_itself_goes_only_where_containers_are(stack: Stack, head: str) -> None:
    with socket.create_connection(("127.0.0.1", stack.relay_port)) as wire:
        wire.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 403 ")


def test_the_relay_does_not_take_a_head_without_end(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.relay_port)) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
        assert wire.recv(100).startswith(b"HTTP/1.1 502 ")


def _sign_out(workspace: Any, session: Any) -> None:
    session.flush()


def _sign_in_expires(workspace: Any, session: Any) -> None:
    from django.contrib.sessions.models import Session

    Session.objects.filter(pk=session.session_key).update(expire_date="2020-01-01T00:00:00Z")


def _stop(workspace: Any, session: Any) -> None:
    workspaces.stop(workspace, actor="test")


def _suspend(workspace: Any, session: Any) -> None:
    workspaces.suspend(workspace, actor="test")


def _delete(workspace: Any, session: Any) -> None:
    workspaces.delete(workspace, delete_files=False, actor="test")


def _leave_team(workspace: Any, session: Any) -> None:
    Membership.objects.filter(user=workspace.owner).delete()


def _deactivate(workspace: Any, session: Any) -> None:
    workspace.owner.is_active = False
    workspace.owner.save(update_fields=["is_active"])


def _run_anew(workspace: Any, session: Any) -> None:
    from portal.lib import clock

    ended = {"phase": "ended", "desired": "end", "ended_at": clock.now(), "next_look_at": None, "address": ""}
    Allocation.objects.filter(pk=workspace.allocation_id).update(**ended)
    workspaces.start(workspace, actor="test")
    put_back = {"phase": "running", "address": workspace.allocation.address, "node": workspace.allocation.node}
    Allocation.objects.filter(owner_id=workspace.pk, ended_at=None).update(**put_back)


ENDINGS = [_sign_out, _sign_in_expires, _stop, _suspend, _delete, _leave_team, _deactivate, _run_anew]


def is_cut(connection: ClientConnection) -> bool:
    try:
        connection.send("still there?")
        connection.recv(timeout=0.2)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    return False


def colleague(number: int) -> Any:
    user = create_user(f"person{number}", f"Person {number}", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), user, Role.MEMBER, actor="test")
    return user


def test_whatever_ends_the_right_cuts_the_open_connection_and_closes_the_door(
    run_at: Run, let_in: LetIn, talking_desk: Desk, portal_session: Any, people: Any
) -> None:
    with ExitStack() as open_ones:
        bystander = let_in(run_at(talking_desk))
        talking_desk.secret = None
        untouched = open_ones.enter_context(bystander.talk())
        ended = {}
        for number, ending in enumerate(ENDINGS):
            workspace = run_at(talking_desk, colleague(number))
            talking_desk.secret = None
            session = portal_session(workspace.owner)
            visitor = let_in(workspace, session)
            connection = open_ones.enter_context(visitor.talk())
            connection.send("hello")
            assert connection.recv(timeout=20) == "hello"
            ending(workspace, session)
            ended[ending.__name__] = (visitor, connection)
        for name, (visitor, connection) in ended.items():
            until(lambda c=connection: is_cut(c), f"the connection is cut after {name}")  # type: ignore[misc]
            until(lambda v=visitor: v.ask().status in (403, 503), f"the door is shut after {name}")  # type: ignore[misc]
        untouched.send("hello")
        assert untouched.recv(timeout=20) == "hello"


def test_a_revoked_token_cuts_what_it_opened(run_at: Run, stack: Stack, talking_desk: Desk) -> None:
    workspace = run_at(talking_desk)
    new = create_token(workspace.owner, "juno", ["workspaces:write"], 1, actor="test")
    kept = create_token(workspace.owner, "kept", ["workspaces:write"], 1, actor="test")
    program = Visitor(stack.port, workspace.pk)
    with (
        program.talk(origin=None, headers=[("Authorization", f"token {new.secret}")]) as cut,
        program.talk(origin=None, headers=[("Authorization", f"token {kept.secret}")]) as stays,
    ):
        revoke_token(new.token, actor="test")
        until(lambda: is_cut(cut), "the connection of the revoked token is cut")
        assert not is_cut(stays)


def test_while_the_database_is_silent_connections_stay_and_then_go(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Kept through a restart of the database; cut before a right that ended could outlive it by a minute."""
    settings.RUNTIME = "fake"
    rounds = 0

    def silent(keys: set[str]) -> set[str]:
        nonlocal rounds
        rounds += 1
        raise OperationalError("no answer")

    monkeypatch.setattr(relay, "_still_valid", silent)
    monkeypatch.setattr(relay, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(relay, "PATIENCE_SECONDS", 0.5)
    assert asyncio.run(_rounds_survived(lambda: rounds)) >= 2


async def _rounds_survived(rounds: Callable[[], int]) -> int:
    """How often the database was asked in vain until the relay let go of a connection."""
    upstream = await asyncio.start_server(lambda _, writer: writer.write(b"hi"), "127.0.0.1", 0)
    port = free_port()
    serving = asyncio.create_task(relay.Relay().serve("127.0.0.1", port))
    await asyncio.sleep(0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    address = "{}:{}".format(*upstream.sockets[0].getsockname())
    writer.write(f"GET / HTTP/1.1\r\nX-Berth-Upstream: {address}\r\nX-Berth-Session: session:x\r\n\r\n".encode())
    assert await reader.read(2) == b"hi"
    assert await asyncio.wait_for(reader.read(), 30) == b""
    survived = rounds()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    upstream.close()
    return survived

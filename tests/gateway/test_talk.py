"""Use through an open WebSocket: what the relay hears, and how much of it counts for which kind."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from environments import addresses
from environments.models import TemplateVersion
from portal.gateway import relay
from portal.gateway.actions import enter, note_talk, open_workspace
from tests.gateway.conftest import put_at
from tests.gateway.stack import free_port

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("kind", "sent", "counts"),
    [
        ("jupyter", 100, False),
        ("jupyter", 600, True),
        ("code-server", 7_000, False),
        ("web", 600, True),
    ],
)
@pytest.mark.parametrize("way", ["session", "token"])
def test_what_is_sent_in_a_minute(
    make_workspace: Callable[..., Any], way: str, kind: str, sent: int, counts: bool
) -> None:
    workspace, other = put_at(make_workspace(), "127.0.0.1:1"), make_workspace()
    TemplateVersion.objects.update(activity=kind)
    ticket = open_workspace(workspace, workspace.owner).url.partition("ticket=")[2]
    session = enter(ticket, workspace.pk, addresses.host(workspace.pk)).session
    key = f"session:{session.pk}" if way == "session" else f"token:01AAAAAAAAAAAAAAAAAAAAAAAA:{workspace.allocation_id}"
    note_talk({key: sent})
    workspace.refresh_from_db()
    other.refresh_from_db()
    assert (workspace.last_activity_at is not None) == counts
    assert other.last_activity_at is None


def test_the_relay_counts_what_the_browser_sends_only(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.RUNTIME = "fake"
    heard: list[dict[str, int]] = []
    monkeypatch.setattr(relay, "_still_valid", lambda keys: keys)
    monkeypatch.setattr(relay, "_note_talk", lambda sent: heard.append(dict(sent)))
    monkeypatch.setattr(relay, "TALK_SECONDS", 0.02)
    asyncio.run(_talk(b"x" * 700, lambda: sum(one.get("session:x", 0) for one in heard) == 700))


async def _talk(words: bytes, heard: Callable[[], bool]) -> None:
    """Through a relay to somebody who says much back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"y" * 10_000 + await reader.readexactly(len(words)))

    upstream = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = free_port()
    serving = asyncio.create_task(relay.Relay().serve("127.0.0.1", port))
    await asyncio.sleep(0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    address = "{}:{}".format(*upstream.sockets[0].getsockname())
    writer.write(f"GET / HTTP/1.1\r\nX-Berth-Upstream: {address}\r\nX-Berth-Session: session:x\r\n\r\n".encode())
    writer.write(words)
    async with asyncio.timeout(30):
        await reader.readexactly(10_000 + len(words))
        while not heard():
            await asyncio.sleep(0.02)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    upstream.close()

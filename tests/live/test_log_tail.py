"""The stream of a workspace's log: who gets it, and for how long before access is checked again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from environments import live_views, sharing
from portal.compute import log_stream
from portal.compute.lines import Line
from portal.lib.errors import Forbidden, NotFound
from portal.live import redis, stream
from tests.conftest import People

Make = Callable[..., Any]


@pytest.mark.django_db
def test_who_it_is_shared_with_is_checked_again_within_a_minute(
    make_workspace: Make, settle: Callable[[], None], people: People, bo: Any
) -> None:
    workspace = make_workspace()
    settle()
    with pytest.raises(Forbidden):
        live_views._prepare(bo, workspace.pk, 0)
    with pytest.raises(NotFound):
        live_views._prepare(people.oda, workspace.pk, 0)
    given = sharing.share(workspace, right="view", user="bo", actor="vera")
    for person in (people.vera, people.luis, people.ada):
        assert live_views._prepare(person, workspace.pk, 0)[2] == stream.LIFETIME_SECONDS
    allocation, _, lifetime = live_views._prepare(bo, workspace.pk, 0)
    assert allocation is not None
    assert lifetime < 60
    sharing.revoke(given, actor="vera")
    with pytest.raises(Forbidden):
        live_views._prepare(bo, workspace.pk, 0)


def test_a_stream_ends_with_its_lifetime() -> None:
    async def endless() -> AsyncIterator[bytes | None]:
        while True:
            yield b"x"

    async def all_of_it() -> list[bytes]:
        return [frame async for frame in stream.paced(endless(), lifetime=0)]

    assert asyncio.run(all_of_it())[1:] == [b"x"]


@pytest.mark.django_db
def test_frames_are_rows_in_the_readers_time_and_say_what_was_skipped(
    make_workspace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace()
    at = "2026-11-21T12:00:00+00:00"

    async def frames(key: str, after: str) -> AsyncIterator[dict[str, Any] | None]:
        yield {"first": 1, "last": 4, "lines": [[4, at, "stdout", "known"]]}
        yield {"first": 5, "last": 6, "lines": [[5, at, "stdout", "1%", True], [6, at, "stdout", "<b>"]]}
        yield None
        yield {"first": 100, "last": 100, "lines": [[100, at, "stderr", "\x1b[31mlate"]]}

    async def all_of_it() -> list[bytes | None]:
        backlog = [Line(4, at, "stdout", "known")]
        kolkata = ZoneInfo("Asia/Kolkata")
        return [frame async for frame in log_stream._frames(workspace.allocation, 2, backlog, kolkata)]

    monkeypatch.setattr(redis, "frames", frames)
    sent = [json.loads(frame.split(b"data: ")[1]) for frame in asyncio.run(all_of_it()) if frame]
    assert [(frame["last"], frame["skipped"]) for frame in sent] == [(4, 1), (6, 0), (100, 93)]
    assert [frame["rows"].count("log-line") for frame in sent] == [1, 1, 1]
    assert "&lt;b&gt;" in sent[1]["rows"]
    assert '<span class="ansi-1">late</span>' in sent[2]["rows"]
    assert ">17:30:00</time>" in sent[2]["rows"]


@pytest.mark.django_db(transaction=True)
def test_a_stream_is_in_the_zone_of_its_reader(
    make_workspace: Make, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones: list[str] = []

    def frames(*given: Any) -> AsyncIterator[bytes | None]:
        zones.append(str(given[-1]))
        return log_stream._nothing()

    monkeypatch.setattr(log_stream, "_frames", frames)
    workspace = make_workspace()
    client = AsyncClient()
    client.force_login(people.vera, backend="django.contrib.auth.backends.ModelBackend")
    client.cookies["zone"] = "Asia/Kolkata"
    assert async_to_sync(client.get)(f"/live/logs/{workspace.pk}/").status_code == 200
    assert zones == ["Asia/Kolkata"]

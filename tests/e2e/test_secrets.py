"""Secrets in a real workspace: there to read inside, and in nothing that Berth or the engine keeps."""

import ast
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from tests.callers import Caller, cookies, eventually
from tests.e2e.kept import everything, in_redis, redis_of, tells
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

VALUE = "Kx7-plain-value-9Qz"
OTHER = "Kx7-replaced-value-9Qz"
LINES = "first-Kx7-line-9Qz\n  second-Kx7-line-9Qz\nend\n"
BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQKx79Qz"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----\n"
TEAMS = "Kx7-value-of-a-team-9Qz"
HIDDEN = (VALUE, OTHER, "first-Kx7-line-9Qz", "second-Kx7-line-9Qz", BODY, TEAMS)
ALL = (*HIDDEN, LINES, KEY)
M = "••••••"
SAID = [f"DEPLOY: {M}", M, M, "", f"LINES: {M}", f"  {M}", "end", "", f"PLAIN: {M}", f"TEAMS: {M}", "over"]
READ = """
import os
place = os.environ["BERTH_FILES"] + "/secrets/"
print({name: open(place + name).read() for name in os.listdir(place)})
"""


@pytest.fixture
def kept(berth: Berth, scientist: Caller) -> Iterator[list[str]]:
    """Names of secrets of every kind, which are gone after the test."""
    lead = berth.api("lead")
    made: list[tuple[Caller, dict[str, Any]]] = [
        (scientist, {"name": "PLAIN", "value": VALUE, "variable": True}),
        (scientist, {"name": "LINES", "value": LINES}),
        (scientist, {"name": "DEPLOY", "value": KEY, "kind": "ssh-key"}),
        (lead, {"name": "TEAMS", "value": TEAMS, "team": "vision"}),
    ]
    ids = [(caller, caller.do("POST", "/secrets/", body)["id"]) for caller, body in made]
    yield [str(body["name"]) for _, body in made]
    for caller, pk in ids:
        caller.send("DELETE", f"/secrets/{pk}/")


def launch(caller: Caller, secrets: list[str], **env: str) -> str:
    body = {"template": "tiny", "size": "tiny", "secrets": secrets, "env": env}
    return str(caller.do("POST", "/workspaces/", body)["id"])


def id_of(caller: Caller, name: str) -> str:
    return next(str(one["id"]) for one in caller.do("GET", "/secrets/")["results"] if one["name"] == name)


def test_they_are_read_inside_and_found_nowhere_else(berth: Berth, scientist: Caller, kept: list[str]) -> None:
    pk = launch(scientist, kept)
    running = scientist.wait(pk, "running")
    inside = ast.literal_eval(berth.inside(running, READ))
    assert inside == {"PLAIN": VALUE, "LINES": LINES, "DEPLOY": KEY, "TEAMS": TEAMS}
    assert scientist.visit(pk, "/tell").status == 200
    eventually(lambda: "over" in [line["line"] for line in scientist.log(pk)], "the last line of what it says")
    said = [line["line"] for line in scientist.log(pk)]
    assert said[said.index("ready") + 1 :] == SAID
    inspected = berth.engine.run("inspect", berth.container(running))
    go_wrong(berth, scientist, kept)
    found = {name: where for name, where in read_and_searched(berth).items() if tells(where, *ALL)}
    assert list(found) == []
    assert not tells(inspected.encode(), *ALL)


def go_wrong(berth: Berth, scientist: Caller, kept: list[str]) -> None:
    """Refusals, failures and a replaced value, each of which could write down what it was given."""
    plain = id_of(scientist, "PLAIN")
    refused = [
        scientist.send("POST", "/secrets/", {"name": "PLAIN", "value": VALUE}),
        scientist.send("POST", "/secrets/", {"name": "LD_X", "value": VALUE, "kind": "ssh-key"}),
        scientist.send("POST", "/secrets/", {"name": "A", "value": VALUE, "team": "vision"}),
        scientist.send("POST", "/secrets/", [VALUE]),
        berth.server.send("POST", "localhost", "/api/v1/secrets/", {"value": VALUE}),
        scientist.send("PATCH", f"/secrets/{plain}/", {"value": VALUE + "\0"}),
        scientist.send("POST", "/workspaces/", {"template": "tiny", "secrets": ["NOBODYS"]}),
    ]
    assert [answer.status for answer in refused] == [422, 422, 422, 422, 401, 422, 422]
    signed_in = berth.sign_in("scientist")
    page = berth.server.send("GET", "localhost", "/secrets/", None, Cookie=signed_in)
    assert page.status == 200
    token = page.body.decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    fields = {"name": "PLAIN", "kind": "variable", "value": VALUE, "csrfmiddlewaretoken": token}
    everything = f"{signed_in}; {cookies(page)}" if cookies(page) else signed_in
    bad = berth.server.send_form("localhost", "/secrets/", fields, Cookie=everything, Origin=berth.url)
    forged = berth.server.send_form(
        "localhost", "/secrets/", fields, Cookie="berth-csrf=x", Origin="http://evil.example"
    )
    assert (bad.status, forged.status) == (422, 403)
    assert not any(tells(answer.body, *ALL) for answer in [*refused, page, bad, forged])
    assert scientist.send("PATCH", f"/secrets/{plain}/", {"value": OTHER}).status == 200
    scientist.wait(launch(scientist, kept, DIE="3"), "failed")


def read_and_searched(berth: Berth) -> dict[str, bytes]:
    """All that is kept, after a look that the places which matter are among it."""
    found = everything(berth)
    assert b"secret.add" in found["dump"]
    assert any("berth:tail:" in name for name in found)
    return found


def test_messages_that_wait_for_a_worker_tell_none(berth: Berth, scientist: Caller, kept: list[str]) -> None:
    with berth.frozen("worker", "images", "beat"):
        pks = [launch(scientist, kept) for _ in range(2)]  # a frozen worker holds the first message already
        scientist.do("PATCH", f"/secrets/{id_of(scientist, 'PLAIN')}/", {"value": OTHER})
        waiting = eventually(lambda: in_redis(berth).get("redis b'short'"), "a message that waits")
        assert b"portal.compute.tasks" in waiting
        assert [name for name, where in everything(berth).items() if tells(where, *ALL)] == []
    for pk in pks:
        scientist.wait(pk, "running")


WAYS_TO_KEEP: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda client, text: client.set("searched", text),
    "list": lambda client, text: client.rpush("searched", "other", text),
    "hash": lambda client, text: client.hset("searched", "field", text),
    "set": lambda client, text: client.sadd("searched", "other", text),
    "sorted set": lambda client, text: client.zadd("searched", {text: 1}),
    "stream": lambda client, text: client.xadd("searched", {"line": text}),
}


@pytest.mark.parametrize("way", WAYS_TO_KEEP)
def test_a_search_would_find_them_in_redis(berth: Berth, way: str) -> None:
    with redis_of(berth) as client:
        for text in ALL:
            WAYS_TO_KEEP[way](client, f"{text} and {text} and {'more ' * 100}")
            assert tells(in_redis(berth)["redis b'searched'"], text)
            client.delete("searched")


def test_a_search_would_find_them_in_the_message_of_a_task(berth: Berth) -> None:
    sender = Celery(broker=berth.configuration.environment["REDIS_URL"].replace("unix://", "redis+socket://", 1))
    with redis_of(berth) as client:
        for text in HIDDEN:
            sender.send_task("nothing", [text], queue="searched")
            assert tells(in_redis(berth)["redis b'searched'"], text)
            client.delete(*client.keys("*searched"))
    sender.close()


def test_a_search_would_find_them_however_they_are_written() -> None:
    for text in HIDDEN:
        assert tells(f"x{text}x".encode(), text)
        assert tells(f"x{text}x".encode().hex().encode(), text)
        assert all(tells(base64.b64encode(f"{before}{text}x".encode()), text) for before in ("", "x", "xx", "xxx"))
    assert tells(json.dumps({"value": LINES}).encode(), LINES)
    assert not tells(b"nothing", *HIDDEN)


def test_a_restart_gives_the_new_value(berth: Berth, scientist: Caller, kept: list[str]) -> None:
    pk = launch(scientist, ["PLAIN"])
    before = berth.container(scientist.wait(pk, "running"))
    scientist.do("PATCH", f"/secrets/{id_of(scientist, 'PLAIN')}/", {"value": OTHER})
    scientist.act(pk, "restart")
    eventually(lambda: berth.container(scientist.workspace(pk)) not in ("", before), "the second container")
    assert OTHER in berth.inside(scientist.wait(pk, "running"), READ)


def test_keys_are_rotated_in_a_running_berth(berth: Berth, scientist: Caller, kept: list[str]) -> None:
    """With no key configured there is one already, so all are sealed with the first."""
    assert "Sealed 0 of 0" in berth.manage("rotate_secrets")
    assert "no issues" in berth.manage("check")

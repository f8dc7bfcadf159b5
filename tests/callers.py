"""A person with a token before a whole Berth: requests to it, and patience for what they lead to."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

T = TypeVar("T")

DEADLINE = 60
"""Seconds after which a test that still waits has failed; nothing is measured by it."""


def eventually(found: Callable[[], T | None], what: str, seconds: float = DEADLINE, pause: float = 0.1) -> T:
    """The first true answer; errors of a server that is just coming back are not an answer."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
            last = answer
        except (OSError, http.client.HTTPException, Unready) as error:
            last = error
        time.sleep(pause)
    pytest.fail(f"{what} did not happen within {seconds:.0f} seconds; last: {last!r}")


class Unready(Exception):
    """The server said that it cannot answer now."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """Where a Berth answers; names below `.localhost` all lead there."""

    address: str
    port: int
    by_path: bool = False

    def place(self, pk: str, path: str = "/") -> tuple[str, str]:
        """Host and path under which a workspace's `path` is found."""
        name = pk.lower()
        return ("workspaces.localhost", f"/w/{name}{path}") if self.by_path else (f"{name}.localhost", path)

    def send(self, method: str, host: str, path: str, body: Any = None, **headers: str) -> Reply:
        with contextlib.closing(self.connect()) as connection:
            content = None if body is None else json.dumps(body)
            kind = {"Content-Type": "application/json"} if content else {}
            connection.request(method, path, content, {"Host": f"{host}:{self.port}", **kind, **headers})
            return _reply(connection.getresponse())

    def send_form(self, host: str, path: str, fields: dict[str, str], **headers: str) -> Reply:
        with contextlib.closing(self.connect()) as connection:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", path, urlencode(fields), {"Host": f"{host}:{self.port}", **kind, **headers})
            return _reply(connection.getresponse())

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, self.port, timeout=20)


@dataclass(frozen=True)
class Caller:
    """One person with a token, at the API and at the doors of workspaces."""

    server: Server
    token: str

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def send(self, method: str, path: str, body: Any = None) -> Reply:
        return self.server.send(method, "localhost", f"/api/v1{path}", body, **self.authorization)

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """As `send`, for what must succeed; Unready while the server comes back."""
        reply = self.send(method, path, body)
        if reply.status >= 500:
            raise Unready(reply.status, reply.body[:300])
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply.json

    def launch(self, template: str = "tiny", size: str = "tiny", **env: str) -> str:
        """Launch one workspace; what comes as keywords is its environment."""
        found = self.do("POST", "/workspaces/", {"template": template, "size": size, "env": env})
        return str(found["id"])

    def workspace(self, pk: str) -> dict[str, Any]:
        found: dict[str, Any] = self.do("GET", f"/workspaces/{pk}/")
        return found

    def phase(self, pk: str) -> str:
        """The state, or the stage while it is starting."""
        found = self.workspace(pk)
        return str(found["stage"] or found["state"])

    def wait(self, pk: str, *states: str, seconds: float = DEADLINE) -> dict[str, Any]:
        """The workspace as soon as its state, or its stage while it is starting, is one of these."""

        def there() -> dict[str, Any]:
            found = self.workspace(pk)
            seen.append(f"{found['state']}/{found['stage']} {found['reason']}")
            if (found["stage"] or found["state"]) not in states:
                raise Unready(*dict.fromkeys(seen))
            return found

        seen: list[str] = []
        return eventually(there, f"{' or '.join(states)} of {pk}", seconds)

    def wait_for_all(self, states: Mapping[str, str], seconds: float = DEADLINE) -> dict[str, dict[str, Any]]:
        """These workspaces, as soon as each is in the state given for it: one deadline for all."""

        def there() -> dict[str, dict[str, Any]]:
            found = {one["id"]: one for one in self.mine()}
            if {pk: found[pk]["state"] for pk in states} != states:
                raise Unready(*((pk, found[pk]["state"], found[pk]["stage"], found[pk]["reason"]) for pk in states))
            return found

        return eventually(there, f"{' and '.join(sorted(set(states.values())))} of all", seconds)

    def act(self, pk: str, what: str) -> dict[str, Any]:
        found: dict[str, Any] = self.do("POST", f"/workspaces/{pk}/{what}/")
        return found

    def running(self, **env: str) -> str:
        """Launch one and wait until it runs."""
        pk = self.launch(**env)
        self.wait(pk, "running")
        return pk

    def visit(self, pk: str, path: str = "/api", **headers: str) -> Reply:
        """Through the gateway, at the workspace's own place."""
        return self.server.send("GET", *self.server.place(pk, path), None, **(self.authorization | headers))

    def log(self, pk: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.do("GET", f"/workspaces/{pk}/logs/{query}")["results"]
        return found

    def mine(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.do("GET", "/workspaces/?limit=100")["results"]
        return found

    def delete_all(self) -> None:
        for found in self.mine():
            self.do("DELETE", f"/workspaces/{found['id']}/")


def _reply(answer: http.client.HTTPResponse) -> Reply:
    return Reply(answer.status, answer.headers, answer.read())


def cookies(reply: Reply) -> str:
    set_by_it = reply.headers.get_all("Set-Cookie") or []
    return "; ".join(cookie.partition(";")[0] for cookie in set_by_it)

"""A person or a program in front of the door: raw HTTP, so that nothing is made tidy on the way."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from environments import addresses
from portal.gateway import places

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the desk says it received."""
        request: dict[str, Any] = json.loads(self.body)
        return request

    def all(self, name: str) -> list[str]:
        """Every value of a header at the desk."""
        return [value for key, value in self.seen["headers"] if key.lower() == name.lower()]


def ask(
    port: int,
    host: str,
    path: str,
    headers: Headers = (),
    method: str = "GET",
    body: Iterable[bytes] | None = None,
    length: int | None = None,
) -> Answer:
    """One request to nginx, byte for byte."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        wire.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [("Host", host), *headers]:
            wire.putheader(name, value)
        if length is not None:
            wire.putheader("Content-Length", str(length))
        wire.endheaders()
        for piece in body or ():
            wire.send(piece)
        response = wire.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        wire.close()


@dataclass(frozen=True)
class Visitor:
    """Somebody at the door of one workspace; `session` is the secret in their cookie."""

    port: int
    workspace: str
    session: str = ""

    @property
    def host(self) -> str:
        return addresses.host(self.workspace)

    @property
    def prefix(self) -> str:
        return addresses.prefix(self.workspace)

    @property
    def origin(self) -> str:
        return addresses.origin(self.workspace)

    @property
    def cookie(self) -> list[tuple[str, str]]:
        return [("Cookie", f"{places.cookie_name()}={self.session}")] if self.session else []

    def ask(self, path: str = "", headers: Headers = (), **more: Any) -> Answer:
        """Ask for a path under the workspace, with the cookie."""
        return ask(self.port, self.host, self.prefix + path, [*self.cookie, *headers], **more)

    def at(self, workspace: str) -> "Visitor":
        """The same cookie, somewhere else."""
        return Visitor(self.port, workspace, self.session)

    @contextmanager
    def talk(self, origin: str | None = "own", headers: Headers = ()) -> Iterator[ClientConnection]:
        """A WebSocket; raises websockets' InvalidStatus when it is refused."""
        wire = socket.create_connection(("127.0.0.1", self.port))
        with connect(
            f"ws://{self.host}{self.prefix}socket",
            sock=wire,
            origin=self.origin if origin == "own" else origin,  # type: ignore[arg-type]
            additional_headers=[*self.cookie, *headers],
            max_size=None,
        ) as connection:
            yield connection


def enter(port: int, url: str) -> tuple[Answer, Visitor]:
    """Follow an entry link; the visitor has the cookie that came back, if any."""
    parts = urlsplit(url)
    answer = ask(port, parts.netloc, f"{parts.path}?{parts.query}")
    label = parts.path.split("/")[2] if addresses.path_mode() else parts.netloc.split(".")[0]
    set_cookie = answer.headers.get("Set-Cookie", "")
    session = set_cookie.split(";")[0].partition("=")[2]
    return answer, Visitor(port, label.upper(), session)


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something that must come true; fail saying what did not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.1)

"""An engine that is gone, silent, slow or stuck: every verb comes back, and none calls a container stopped."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from runtimes.base import ContainerState, EngineUnreachable, Runtime, Spec
from runtimes.docker import DockerRuntime

_LABELS = {
    "berth.instance": "unreachable",
    "berth.allocation": "1",
    "berth.owner": "user-1",
    "berth.generation": "1",
}
_SPEC = Spec("berth-1", "sha256:" + "0" * 64, _LABELS, "network", 1.0, 64 * 1024**2)

VERBS: dict[str, Callable[[Runtime], Any]] = {
    "check": lambda runtime: runtime.check(),
    "ensure": lambda runtime: runtime.ensure(_SPEC),
    "inspect": lambda runtime: runtime.inspect("berth-1"),
    "list": lambda runtime: runtime.list("unreachable"),
    "stop": lambda runtime: runtime.stop("berth-1"),
    "freeze": lambda runtime: runtime.freeze("berth-1"),
    "thaw": lambda runtime: runtime.thaw("berth-1"),
    "remove": lambda runtime: runtime.remove("berth-1"),
    "logs": lambda runtime: list(runtime.logs("berth-1", None, follow=True)),
    "stats": lambda runtime: runtime.stats("berth-1"),
    "events": lambda runtime: next(runtime.events()),
    "remove_volume": lambda runtime: runtime.remove_volume("volume"),
    "remove_network": lambda runtime: runtime.remove_network("network"),
    "find_image": lambda runtime: runtime.find_image("image"),
}


@pytest.fixture(params=["absent", "silent", "dripping"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A socket file without a listener, one that accepts and says nothing, one that never stops talking."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        if request.param != "absent":
            listener.listen()
        if request.param == "dripping":
            threading.Thread(target=_drip, args=(listener,), daemon=True).start()
        yield f"unix://{path}"


def _drip(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=_drip_into, args=(listener.accept()[0],), daemon=True).start()


def _drip_into(client: socket.socket) -> None:
    with suppress(OSError), client:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            client.sendall(b" ")
            threading.Event().wait(0.05)


@pytest.mark.parametrize("verb", VERBS)
def test_no_answer_is_not_an_answer(address: str, verb: str) -> None:
    with pytest.raises(EngineUnreachable):
        VERBS[verb](DockerRuntime("unreachable", base_url=address, limit=0.3))


def test_pulling_building_and_importing_tell_that_there_is_no_engine(tmp_path: Path) -> None:
    runtime = DockerRuntime("unreachable", base_url=f"unix://{tmp_path}/nothing.sock", limit=0.3)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(EngineUnreachable):
        runtime.pull_image("debian", lambda progress: None)
    with pytest.raises(EngineUnreachable):
        runtime.build_image("tag", tmp_path, lambda progress: None)
    with pytest.raises(EngineUnreachable):
        runtime.import_image("tag", BytesIO(b""))


class _Engine(BaseHTTPRequestHandler):
    """An engine with two containers: it is broken for one of them in the way that `trouble` says."""

    trouble = ""
    released = threading.Event()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/version"):
            self._answer(200, {"ApiVersion": "1.41"})
        elif path.endswith("/containers/json"):
            self._answer(200, [_row("good"), _row("stuck")])
        elif "stuck" in path and self.trouble == "hangs":
            self.released.wait(20)
        elif "stuck" in path:
            self._answer(500, {"message": "something is wrong in here"})
        else:
            self._answer(200, _described("good"))

    def do_POST(self) -> None:
        self._answer(503 if self.trouble == "busy" else 409, {"message": "is not running"})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _row(name: str) -> dict[str, Any]:
    return {"Id": name, "Names": [f"/{name}"], "State": "running", "Labels": _LABELS}


def _described(name: str) -> dict[str, Any]:
    zero = "0001-01-01T00:00:00Z"
    state = {"Status": "running", "StartedAt": zero, "FinishedAt": zero, "ExitCode": 0}
    state |= {"OOMKilled": False, "Error": ""}
    return {
        "Name": f"/{name}",
        "State": state,
        "Config": {"Labels": _LABELS},
        "NetworkSettings": {"Networks": {}},
    }


@pytest.fixture
def broken() -> Iterator[DockerRuntime]:
    _Engine.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield DockerRuntime("unreachable", base_url=f"tcp://127.0.0.1:{server.server_port}", limit=1)
        _Engine.released.set()
        server.shutdown()


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_one_stuck_container_does_not_hide_the_others(broken: DockerRuntime, trouble: str) -> None:
    _Engine.trouble = trouble
    seen = {one.name: one for one in broken.list("unreachable")}
    assert seen["good"] == broken.inspect("good")
    assert seen["stuck"].state is ContainerState.RUNNING
    assert seen["stuck"].error
    assert seen["stuck"].started_at is None


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_a_container_that_cannot_be_described_is_not_gone(broken: DockerRuntime, trouble: str) -> None:
    _Engine.trouble = trouble
    for verb in (broken.inspect, broken.stop, broken.remove, broken.stats):
        with pytest.raises(EngineUnreachable):
            verb("stuck")


def test_the_engines_zero_time_is_no_time(broken: DockerRuntime) -> None:
    assert broken.inspect("good").started_at is None


def test_a_busy_engine_is_one_that_did_not_answer(broken: DockerRuntime) -> None:
    _Engine.trouble = "busy"
    with pytest.raises(EngineUnreachable):
        broken.stop("good")
    _Engine.trouble = ""
    broken.stop("good")

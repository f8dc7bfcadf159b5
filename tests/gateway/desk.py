"""What stands in for an application in a container: it demands its own secret, and remembers what reached it."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.sync.server import Server, ServerConnection, serve


class Desk:
    """`secret` is what it demands; None lets everybody in.

    It may hang up unannounced: "at once" after an answer, or "late", when the next request is already on its way.
    """

    def __init__(self) -> None:
        self.secret: str | None = None
        self.seen: list[dict[str, Any]] = []
        self.received = 0
        self.address = ""
        self.hangs_up = ""
        self.wires: list[socket.socket] = []

    def end(self) -> None:
        """As a container does, it takes its connections with it."""
        for wire in self.wires:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def admits(self, authorization: str | None) -> bool:
        return self.secret is None or authorization == f"token {self.secret}"


def _handler(desk: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.answered = False
            desk.wires.append(self.connection)

        def _serve(self) -> None:
            if self.answered and desk.hangs_up == "late":
                self.close_connection = True
                return
            admitted = desk.admits(self.headers["Authorization"])
            self._read_body()
            request = {
                "method": self.command,
                "path": self.requestline.split()[1],
                "headers": list(self.headers.items()),
            }
            desk.seen.append(request)
            self.send_response(200 if admitted else 403)
            body = json.dumps(request).encode() if admitted else b"another secret is asked for here"
            self.send_header("Content-Length", str(len(body)))
            for name, value in json.loads(self.headers.get("X-Answer-With") or "{}").items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.answered = True
            self.close_connection = self.close_connection or desk.hangs_up == "at once"

        def _read_body(self) -> None:
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                piece = self.rfile.read(min(left, 1 << 20))
                left -= len(piece)
                desk.received += len(piece)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _serve

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def http_desk(port: int = 0) -> Iterator[Desk]:
    desk = Desk()
    with ThreadingHTTPServer(("127.0.0.1", port), _handler(desk)) as server:
        desk.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield desk
        server.shutdown()
        desk.end()


@contextmanager
def websocket_desk() -> Iterator[Desk]:
    """Says back what it hears."""
    desk = Desk()

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    def check(connection: ServerConnection, request: Any) -> Any:
        desk.seen.append({"path": request.path, "headers": list(request.headers.raw_items())})
        return None if desk.admits(request.headers.get("Authorization")) else connection.respond(403, "not yours\n")

    with serve(echo, "127.0.0.1", 0, process_request=check, max_size=None) as server:
        desk.address = f"127.0.0.1:{_port(server)}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield desk
        server.shutdown()


def _port(server: Server) -> int:
    port: int = server.socket.getsockname()[1]
    return port

"""A stand-in for an IDE that starts in milliseconds and misbehaves when asked; Debian's smallest Python suffices.

Environment: BOOT seconds before it listens, DIE an exit code to end with instead, HOG to fill the memory,
STUBBORN seconds to go on after being asked to stop. `GET /log?lines=N` writes lines, `/crash` and `/oom` end it.
"""

import os
import signal
import socket
import sys
import threading
import time

BOOT = float(os.environ.get("BOOT", "0"))
STUBBORN = float(os.environ.get("STUBBORN", "0"))


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def leave() -> None:
    time.sleep(STUBBORN)
    say("bye")
    os._exit(0)


def hog() -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * 1024 * 1024))


def answer(connection: socket.socket) -> None:
    with connection:
        request = b""
        while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
            request += piece
        path = request.split(b" ", 2)[1].decode()
        if path.startswith("/log?lines="):
            for number in range(1, int(path.partition("=")[2]) + 1):
                say(f"line {number}")
        body = request if path == "/echo" else b'{"version": "tiny"}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    if path == "/crash":
        say("crash was asked for")
        os._exit(3)
    if path == "/oom":
        hog()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=leave).start())
    say("hello")
    time.sleep(BOOT)
    if "HOG" in os.environ:
        hog()
    if "DIE" in os.environ:
        say("I cannot go on")
        sys.exit(int(os.environ["DIE"]))
    with socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=128) as server:
        say("ready")
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],)).start()


main()

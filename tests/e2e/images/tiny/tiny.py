"""A stand-in for an IDE that starts in milliseconds and misbehaves when asked; Debian's smallest Python suffices.

Environment: BOOT seconds before it listens, DIE an exit code to end with instead, HOG to fill the memory,
STUBBORN seconds to go on after being asked to stop; SIGUSR1 cuts either wait short. `GET /log?lines=N` writes lines,
`/noise?lines=N` wild ones, `/tell` writes the secrets that it was given, `/crash` and `/oom` end it.
"""

import os
import signal
import socket
import sys
import threading

BOOT = float(os.environ.get("BOOT", "0"))
STUBBORN = float(os.environ.get("STUBBORN", "0"))
HURRY = threading.Event()


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def leave() -> None:
    HURRY.wait(STUBBORN)
    say("bye")
    os._exit(0)


def hog() -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * 1024 * 1024))


def tell(folder: str) -> None:
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - this Python has no pathlib
        with open(f"{folder}/{name}") as file:  # noqa: PTH123
            say(f"{name}: {file.read()}")
    say("over")


def noise(count: int) -> None:
    """Bars, colours, NULs, bytes that are no text, HTML: as fast as it goes."""
    for first in range(0, count, 100):
        os.write(1, b"".join(wild(number) for number in range(first, min(first + 100, count))))
    say("noise is over")


def wild(number: int) -> bytes:
    return (
        b"line %d\n" % number,
        b"\r%d: 10%%\r%d: 60%%\r%d: 100%%\n" % (number, number, number),
        b"\x1b[3%dmline\x1b[0m %d\n" % (number % 8, number),
        b"li\0ne\0 %d\r\n" % number,
        b"\xff\xfe %d\n" % number,
        b"<script>alert(%d)</script>\n" % number,
    )[number % 6]


def answer(connection: socket.socket) -> None:
    with connection:
        request = b""
        while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
            request += piece
        path = request.split(b" ", 2)[1].decode()
        if path.startswith("/log?lines="):
            for number in range(1, int(path.partition("=")[2]) + 1):
                say(f"line {number}")
        if path.startswith("/noise?lines="):
            threading.Thread(target=noise, args=(int(path.partition("=")[2]),)).start()
        if path == "/tell":
            tell(os.environ["BERTH_FILES"] + "/secrets")
        body = request if path == "/echo" else b'{"version": "tiny"}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    if path == "/crash":
        say("crash was asked for")
        os._exit(3)
    if path == "/oom":
        hog()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=leave).start())
    signal.signal(signal.SIGUSR1, lambda *_: HURRY.set())
    say("hello")
    HURRY.wait(BOOT)
    HURRY.clear()
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

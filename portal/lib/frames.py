"""Frames on a byte stream between two of our processes: one byte of kind, four of length, the data."""

import asyncio
import json
from enum import IntEnum
from typing import Any

LONGEST = 1024 * 1024


class Kind(IntEnum):
    REQUEST = 0
    INPUT = 1
    END_OF_INPUT = 2
    RESIZE = 3
    OUTPUT = 4
    ERRORS = 5
    EXIT = 6
    REFUSAL = 7


class Broken(Exception):
    """The other side ended in the middle, or says what nobody says here."""


def pack(kind: Kind, data: bytes = b"") -> bytes:
    return bytes([kind]) + len(data).to_bytes(4, "big") + data


def pack_value(kind: Kind, value: Any) -> bytes:
    return pack(kind, json.dumps(value).encode())


async def read(stream: asyncio.StreamReader) -> tuple[Kind, bytes] | None:
    """The next frame; None when the stream ends between two. Raises Broken."""
    head = await stream.read(1)
    if not head:
        return None
    try:
        length = int.from_bytes(await stream.readexactly(4), "big")
        if length > LONGEST:
            raise Broken("a frame is too long")
        return Kind(head[0]), await stream.readexactly(length)
    except (asyncio.IncompleteReadError, ValueError) as error:
        raise Broken(str(error)) from error

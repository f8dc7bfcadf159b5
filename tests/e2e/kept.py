"""Everything that a Berth keeps, as bytes that can be searched, and the search for a text in them."""

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from deploy import postgres
from tests.system import Berth


def everything(berth: Berth) -> dict[str, bytes]:
    """By name: a dump of the database, each key of Redis, and each file of this Berth, unpacked."""
    files = {str(path): _unpacked(path) for path in berth.data.rglob("*") if path.is_file()}
    return {"dump": _dump(berth)} | in_redis(berth) | files


def in_redis(berth: Berth) -> dict[str, bytes]:
    """The values, whatever their type: a dump of a key would be compressed, and break up what is searched for."""
    with redis_of(berth) as client:
        return {f"redis {key!r}": b"\n".join(_pieces(_value(client, key))) for key in client.scan_iter()}


def redis_of(berth: Berth) -> Any:
    return redis.from_url(berth.configuration.environment["REDIS_URL"])


def _value(client: Any, key: bytes) -> Any:
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"stream":
            return client.xrange(key)
        case b"none":  # it has expired since it was listed
            return None
        case other:
            raise ValueError(f"{key!r} is of a type that is not searched: {other!r}")


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        yield from _pieces(list(value.items()))
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _pieces(part)


def _dump(berth: Berth) -> bytes:
    program = [str(postgres.programs() / "pg_dump"), "--inserts", berth.configuration.environment["DATABASE_URL"]]
    return subprocess.run(program, capture_output=True, check=True).stdout


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:  # the databases remove files of theirs meanwhile
        return b""
    return gzip.decompress(content) if path.suffix == ".gz" else content


def tells(content: bytes, *texts: str) -> bool:
    """Whether one of them is in there, as it is or as text is usually written."""
    return any(form in content for text in texts for form in _forms(text))


def _forms(text: str) -> Iterator[bytes]:
    plain = text.encode()
    yield plain
    yield plain.hex().encode()
    yield json.dumps(text).encode()[1:-1]
    for before in range(3):
        yield _in_base64(plain, before)


def _in_base64(plain: bytes, before: int) -> bytes:
    """The characters that do not depend on what stands around it, where `before` bytes begin its group of three."""
    written = base64.b64encode(b"\0" * before + plain)
    return written[(0, 2, 3)[before] : (before + len(plain)) // 3 * 4]

"""The only door to Redis: pub/sub of names, and capped streams of log frames. Losing it costs latency only."""

import json
import logging
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

Unavailable = redis.RedisError
"""What any of the streams below may raise."""

CHANNEL = "berth:live"
TAIL_FRAMES = 50


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def _quietly(what: str, *args: Any, **options: Any) -> Any:
    try:
        return getattr(_client(), what)(*args, **options)
    except redis.RedisError as error:
        logger.warning("Redis did not take %s: %s", what, error)
        return None


def publish(*topics: str) -> None:
    """Tell open pages and agents, after commit, that these changed. Names only, never data."""
    transaction.on_commit(lambda: _send(topics))


def _send(topics: tuple[str, ...]) -> None:
    for topic in topics:
        _quietly("publish", CHANNEL, topic)


async def names() -> AsyncIterator[str | None]:
    """Topics as they are published; None about once a second, so that the reader can do other things."""
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
    try:
        async with client.pubsub() as channel:
            await channel.subscribe(CHANNEL)
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
                yield message["data"].decode() if message else None
    finally:
        await client.aclose()


def append_frame(key: str, frame: dict[str, Any]) -> None:
    """Add one frame to the live tail `key`; the tail keeps the last TAIL_FRAMES and is forgotten after a day."""
    if _quietly("xadd", f"berth:tail:{key}", {"frame": json.dumps(frame)}, maxlen=TAIL_FRAMES, approximate=True):
        _quietly("expire", f"berth:tail:{key}", 86_400)


async def frames(key: str, after: str = "$") -> AsyncIterator[dict[str, Any] | None]:
    """Frames of a live tail as they come; None about once a second when there are none."""
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
    try:
        while True:
            reply: Any = await client.xread({f"berth:tail:{key}": after}, block=1000, count=50)
            if not reply:
                yield None
            for _stream, entries in reply or []:
                for entry_id, fields in entries:
                    after = entry_id.decode()
                    yield json.loads(fields[b"frame"])
    finally:
        await client.aclose()


def ping() -> bool:
    return bool(_quietly("ping"))

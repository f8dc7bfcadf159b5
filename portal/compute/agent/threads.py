"""Runs blocking work (database, engine) off the event loop, each call with a fresh look at its connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

_pool = ThreadPoolExecutor(max_workers=24, thread_name_prefix="agent")


def start(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Have it done, whatever becomes of the caller."""

    def bounded() -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return _pool.submit(bounded)


async def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What it returns. When the caller is cancelled it may not even begin."""
    return await asyncio.wrap_future(start(function, *args, **kwargs))

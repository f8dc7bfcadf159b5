"""Runs blocking work (database, engine) off the event loop, each call with a fresh look at its connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

_pool = ThreadPoolExecutor(max_workers=24, thread_name_prefix="agent")


async def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    def bounded() -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_pool, bounded)

"""What the process `files` does beside answering: each body has a thread of its own, so that none delays another."""

import logging
import threading
from collections.abc import Callable

from django.db import close_old_connections

logger = logging.getLogger(__name__)

_bodies: dict[Callable[[], bool], float] = {}


def also(body: Callable[[], bool], pause: float) -> None:
    """Call `body` again and again: at once while it answers that it did something, else after `pause` seconds.

    Several processes do so at the same time: what it takes, it must claim.
    """
    _bodies[body] = pause


def start() -> None:
    for body, pause in _bodies.items():
        threading.Thread(target=_for_ever, args=(body, pause), name=body.__qualname__, daemon=True).start()


def _for_ever(body: Callable[[], bool], pause: float) -> None:
    while True:
        try:
            while body():
                pass
        except Exception:
            logger.exception("%s goes on", body.__qualname__)
        close_old_connections()
        threading.Event().wait(pause)

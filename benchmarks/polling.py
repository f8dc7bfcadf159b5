"""Asks a server over and over until it answers as wanted."""

import time
from collections.abc import Callable, Mapping

import requests

from deploy.screen import Stopped

POLL_SECONDS = 0.02
LONGEST_SECONDS = 120.0


def until(done: Callable[[], bool], what: str, pause: float = POLL_SECONDS, longest: float = LONGEST_SECONDS) -> None:
    """Raises Stopped when it is still not so after `longest` seconds."""
    deadline = time.monotonic() + longest
    while not done():
        if time.monotonic() > deadline:
            raise Stopped(f"{what} did not happen within {longest:.0f} seconds.")
        time.sleep(pause)


def answers(session: requests.Session, url: str, headers: Mapping[str, str]) -> bool:
    """Whether `url` answers 200, without following redirects: a page that asks to wait is not what was asked for."""
    try:
        reply = session.get(url, headers=dict(headers), timeout=5, allow_redirects=False)
    except requests.RequestException:
        return False
    return reply.status_code == 200

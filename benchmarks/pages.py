"""How long a page of a benchmark's own Berth takes, one request after the other."""

import requests

from benchmarks.berth import Berth
from deploy.screen import Stopped

LEAST, LEAST_PATH = "the page on which one signs in", "/sign-in/"
"""It asks the database nothing: what the same server needs for any page."""


def milliseconds(own: Berth, path: str, cookie: str, *, turn: int, rank: int) -> float:
    """From the request to the whole answer: of `turn` requests the one that is number `rank` by its time, from 0."""
    headers = {"Host": f"localhost:{own.port}", "Cookie": f"berth-session={cookie}"}
    url = f"http://127.0.0.1:{own.port}{path}"
    took = []
    with requests.Session() as session:
        for _ in range(turn):
            reply = session.get(url, headers=headers, allow_redirects=False, timeout=120)
            if reply.status_code != 200:
                raise Stopped(f"{path} answered {reply.status_code}.")
            took.append(reply.elapsed.total_seconds() * 1000)
    return sorted(took)[rank]

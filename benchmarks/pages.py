"""Pages of a Berth as a person's browser gets them, and how long each took."""

import statistics
import time
from collections.abc import Iterator

import requests

from benchmarks.berth import Berth
from deploy.screen import Stopped

PIECE = 1024**2
PATIENCE = 120
LEAST, LEAST_PATH = "the page on which one signs in", "/sign-in/"
"""It asks the database nothing: what the same server needs for any page."""


def milliseconds(own: Berth, path: str, cookie: str, *, turn: int, rank: int) -> float:
    """From the request to the whole answer: of `turn` requests the one that is number `rank` by its time, from 0."""
    headers = {"Host": f"localhost:{own.port}", "Cookie": cookie}
    took = []
    with requests.Session() as session:
        for _ in range(turn):
            url = f"http://127.0.0.1:{own.port}{path}"
            reply = session.get(url, headers=headers, allow_redirects=False, timeout=PATIENCE)
            if reply.status_code != 200:
                raise Stopped(f"{path} answered {reply.status_code}.")
            took.append(reply.elapsed.total_seconds() * 1000)
    return sorted(took)[rank]


class Pages:
    """`took` has the milliseconds from each request to the end of its answer, by the name it was asked under."""

    def __init__(self, own: Berth, user: str) -> None:
        self._place = f"http://127.0.0.1:{own.port}"
        self._session = requests.Session()
        self._session.headers.update({"Host": f"localhost:{own.port}", "Cookie": own.cookie(user)})
        self.took: dict[str, list[float]] = {}

    def get(self, name: str, path: str) -> str:
        began = time.perf_counter()
        reply = self._session.get(f"{self._place}{path}", allow_redirects=False, timeout=PATIENCE)
        self.took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        if reply.status_code != 200:
            raise Stopped(f"{path} answered {reply.status_code}.")
        return reply.text

    def download(self, path: str) -> Iterator[bytes]:
        with self._session.get(f"{self._place}{path}", stream=True, timeout=PATIENCE) as reply:
            if reply.status_code != 200:
                raise Stopped(f"{path} answered {reply.status_code}.")
            yield from reply.iter_content(PIECE)

    def slow(self, name: str) -> float:
        """The 95th percentile."""
        return statistics.quantiles(self.took[name], n=20)[-1]

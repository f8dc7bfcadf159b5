"""`job-list`: the list of jobs among 100,000 of them, against the page of the same server that does least."""

from functools import partial

import requests

from benchmarks import berth
from benchmarks.berth import Berth
from benchmarks.rounds import Result, take_turns
from deploy.screen import Stopped, say

JOBS = 100_000
TURN = 10
"""Requests of which the median counts as one measurement."""
SERVERS = ("postgres", "redis", "web", "gateway")
LEAST = "the page on which one signs in"
PAGES = {
    "all of one's own": "?",
    "failed ones": "?state=failed",
    "found by a part of the name": "?search=net-7",
    "the last page": "?page=100000",
    "everyone's, for an administrator": "?owner=all",
    "everyone's failed ones of a team": "?owner=all&state=failed&team=vision",
}


def measure(rounds: int) -> Result:
    with berth.running({"BERTH_RUNTIME": "fake"}, processes=SERVERS) as own:
        say(f"Making {JOBS:,} jobs")
        own.python("-m", "benchmarks.job_list_rows", str(JOBS))
        cookie = own.cookie("admin")
        contenders = {LEAST: partial(_milliseconds, own, "/sign-in/", "")}
        for name, query in PAGES.items():
            contenders[name] = partial(_milliseconds, own, f"/jobs/{query}", cookie)
        samples = take_turns(contenders, rounds)
    return Result("job-list", f"A page of the list among {JOBS:,} jobs", "ms", LEAST, samples, {"requests": str(TURN)})


def _milliseconds(own: Berth, path: str, cookie: str) -> float:
    """From the request to the whole answer; the median of a turn."""
    headers = {"Host": f"localhost:{own.port}", "Cookie": cookie}
    url = f"http://127.0.0.1:{own.port}{path}"
    took = []
    with requests.Session() as session:
        for _ in range(TURN):
            reply = session.get(url, headers=headers, allow_redirects=False, timeout=60)
            if reply.status_code != 200:
                raise Stopped(f"{path} answered {reply.status_code}.")
            took.append(reply.elapsed.total_seconds() * 1000)
    return sorted(took)[TURN // 2]

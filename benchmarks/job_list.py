"""`job-list`: the list of jobs among 100,000 of them, against the page of the same server that does least."""

from functools import partial

from benchmarks import berth
from benchmarks.pages import LEAST, LEAST_PATH, milliseconds
from benchmarks.rounds import Result, take_turns
from deploy.screen import say

JOBS = 100_000
TURN = 10
"""Requests of which the median counts as one measurement."""
SERVERS = ("postgres", "redis", "web", "gateway")
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
        median = partial(milliseconds, own, turn=TURN, rank=TURN // 2)
        contenders = {LEAST: partial(median, LEAST_PATH, "")}
        contenders |= {name: partial(median, f"/jobs/{query}", cookie) for name, query in PAGES.items()}
        samples = take_turns(contenders, rounds)
    return Result("job-list", f"A page of the list among {JOBS:,} jobs", "ms", LEAST, samples, {"requests": str(TURN)})

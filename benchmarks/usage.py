"""`usage`: pages of usage and cost among 10 million intervals, against the page of the same server that does least."""

import json
import statistics
from functools import partial

from benchmarks import berth
from benchmarks.pages import LEAST, LEAST_PATH, milliseconds
from benchmarks.processes import children, memory
from benchmarks.rounds import Result, take_turns
from deploy.screen import say

TURN = 20
"""Requests of which the last but one by time, the 95th percentile, counts as one measurement."""
SERVERS = ("postgres", "redis", "web", "gateway")
PAGES = {
    "own month": ("scientist", "scope=me"),
    "own year": ("scientist", "scope=me&period=year"),
    "a team's month by person": ("lead", "scope=team:vision"),
    "a team's year by person": ("lead", "scope=team:vision&period=year"),
    "a team's year by project": ("lead", "scope=team:vision&period=year&by=project"),
    "a team's month by what ran": ("lead", "scope=team:vision&by=owner"),
    "a team's last month by what ran": ("lead", "scope=team:vision&by=owner&period=last-month"),
    "all teams' month by person": ("admin", "scope=all"),
    "all teams' last month by person": ("admin", "scope=all&period=last-month"),
    "all teams' 30 days by person": ("admin", "scope=all&period=30"),
    "all teams' 30 days by project": ("admin", "scope=all&period=30&by=project"),
    "all teams' year by person": ("admin", "scope=all&period=year"),
    "all teams' year by team": ("admin", "scope=all&period=year&by=team"),
    "all teams' year by GPU class": ("admin", "scope=all&period=year&by=gpu_class"),
    "all teams' year by node": ("admin", "scope=all&period=year&by=node"),
    "all teams' month by what ran": ("admin", "scope=all&by=owner"),
    "all teams' last month, too much to split by what ran": ("admin", "scope=all&by=owner&period=last-month"),
    "one environment's 30 days, all teams": ("admin", "scope=all&period=30&template=template-3"),
    "one environment's year, all teams": ("admin", "scope=all&period=year&template=template-3"),
    "one node's 30 days, all teams": ("admin", "scope=all&period=30&node=node-3"),
}
OTHERS = {
    "busy hours of all teams": ("admin", "/usage/busy/?scope=all"),
    "last month at other prices": ("admin", "/usage/prices/"),
}


def measure(rounds: int, intervals: int) -> Result:
    with berth.running({"BERTH_RUNTIME": "fake"}, processes=SERVERS) as own:
        say(f"Making {intervals:,} intervals of three years and adding them up; 10 million take an hour or more")
        facts = json.loads(own.python("-m", "benchmarks.usage_rows", str(intervals)).splitlines()[-1])
        cookies = {who: own.cookie(who) for who in ("scientist", "lead", "admin")}
        most = partial(milliseconds, own, turn=TURN, rank=TURN - 2)
        contenders = {LEAST: partial(most, LEAST_PATH, "")}
        pages = {name: (who, f"/usage/?{query}") for name, (who, query) in PAGES.items()} | OTHERS
        contenders |= {name: partial(most, path, cookies[who]) for name, (who, path) in pages.items()}
        samples = take_turns(contenders, rounds)
        most_memory = max(memory(pid, "VmHWM") for pid in children(own.pid("web")))
    slowest = max(statistics.median(taken) for name, taken in samples.items() if name != LEAST)
    facts["the slowest page, in the median"] = f"{slowest:.0f} ms"
    facts["memory of a process that answers, at most"] = f"{most_memory} MiB"
    question = f"A page of usage and cost among {intervals:,} intervals, 95th percentile"
    return Result("usage", question, "ms", LEAST, samples, facts | {"requests": str(TURN)})

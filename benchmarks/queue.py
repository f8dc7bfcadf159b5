"""`queue`: how fast a long line gets its places, by bare SQL in the same order and by Berth's admission."""

import json
import os
import subprocess
from collections.abc import Mapping
from functools import partial

from benchmarks.rounds import Result, take_turns
from deploy import services
from deploy.python_environment import ROOT, VENV
from deploy.screen import Stopped

WAITING, PLACED = 10_000, 1_000
SQL, BERTH = "bare SQL: one UPDATE and its commit for each", "Berth's admission"


def measure(rounds: int) -> Result:
    with services.temporary() as settings:
        contenders = {SQL: partial(_rate, "sql", settings), BERTH: partial(_rate, "berth", settings)}
        samples = take_turns(contenders, rounds)
    versions = {"in line": f"{WAITING:,}", "placed in a round": f"{PLACED:,}"}
    return Result("queue", "Admissions a second from a long line", "admissions/s", SQL, samples, versions)


def _rate(way: str, settings: Mapping[str, str]) -> float:
    command = [str(VENV / "bin" / "python"), "-m", "benchmarks.queue_line", way, str(WAITING), str(PLACED)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Stopped(f"The line was not served: {done.stderr[-1000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return float(said["placed"] / said["seconds"])

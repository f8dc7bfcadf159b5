"""Whatever is killed, whenever: every launch ends running or with a reason, and nothing is left over."""

import os
import signal
from contextlib import suppress

import pytest

from deploy.processes import SERVICES, read_procfile
from deploy.python_environment import ROOT
from tests.callers import Caller
from tests.chaos.crew import Crew
from tests.system import Berth

pytestmark = [pytest.mark.chaos, pytest.mark.docker]

PROCESSES = [process.name for process in read_procfile((ROOT / "Procfile").read_text())]
ALL_BACK = 180
"""Seconds until every process has started again at once, which keeps a small machine busy."""


@pytest.mark.parametrize("name", PROCESSES)
def test_the_death_of_one_process_costs_nothing(crew: Crew, name: str) -> None:
    with crew.in_all_stages():
        another_runs = crew.berth.kill(name)
    another_runs()
    crew.assert_arrived()


def test_the_death_of_all_children_costs_nothing(crew: Crew) -> None:
    """Those of `worker` die between what the engine has made and its record: whoever comes next goes on."""
    with crew.in_all_stages():
        kill([child for name in ("web", "files", "gateway", "worker") for child in crew.berth.pids(name)[1:]])
    crew.assert_arrived()


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_launch_completes_while_no_celery_process_moves(berth: Berth, outsider: Caller) -> None:
    with berth.frozen("worker", "images", "pulls", "beat"):
        outsider.running()
    berth.assert_invariants()


def test_ten_launches_survive_a_redis_that_dies_and_forgets_all(berth: Berth, outsider: Caller) -> None:
    with berth.frozen("worker", "beat", "agent"):
        launched = [outsider.launch() for _ in range(10)]
        (berth.data / "redis/dump.rdb").unlink(missing_ok=True)
        another_runs = berth.kill("redis")
    another_runs()
    outsider.wait_for_all(dict.fromkeys(launched, "running"))
    berth.assert_invariants()


def test_the_death_of_everything_at_once_loses_nothing(berth: Berth, outsider: Caller) -> None:
    launched = [outsider.launch(BOOT="2") for _ in range(2)]
    back = [berth.kill(name) for name in sorted(PROCESSES, key=SERVICES.__contains__)]
    for another_runs in back:
        another_runs()
    outsider.wait_for_all(dict.fromkeys(launched, "running"), seconds=ALL_BACK)
    berth.assert_invariants(ALL_BACK)

"""Whatever is killed, whenever: every launch ends running or with a reason, and nothing is left over."""

import os
import signal
from contextlib import suppress

import pytest

from tests.callers import Caller, eventually
from tests.chaos.conftest import Crew
from tests.system import Berth

pytestmark = [pytest.mark.chaos, pytest.mark.docker]

PROCESSES = ("web", "live", "relay", "worker", "images", "beat", "agent", "gateway", "redis", "postgres")


@pytest.mark.parametrize("name", PROCESSES)
def test_the_death_of_one_process_costs_nothing(crew: Crew, name: str) -> None:
    crew.take_places()
    another_runs = crew.berth.kill(name)
    another_runs()
    crew.assert_arrived()


def test_the_death_of_all_children_costs_nothing(crew: Crew) -> None:
    crew.take_places()
    kill([child for name in ("web", "gateway") for child in crew.berth.pids(name)[1:]])
    crew.assert_arrived()


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_those_who_pull_and_who_create_die_in_the_middle_of_it(crew: Crew, outsider: Caller) -> None:
    """Half-way through a pull, and between what the engine created and its record: whoever comes next goes on."""
    berth = crew.berth
    berth.registry.hold()
    berth.publish("slow", berth.registry.add_image("slow", berth.tiny))
    pulled = outsider.launch("slow")
    outsider.wait(pulled, "pulling")
    eventually(lambda: berth.image("slow")["state"] == "building", "the begin of the pull")
    children = berth.pids("worker")[1:]
    crew.take_places()
    label = f"berth.allocation={crew.caller.workspace(crew.newcomer)['allocation']}"
    eventually(lambda: berth.engine.names(label), "a container")
    kill(children)
    berth.kill("images")()
    berth.registry.let_go()
    crew.assert_arrived()
    outsider.wait(pulled, "running")


def test_a_launch_completes_while_no_celery_process_moves(berth: Berth, outsider: Caller) -> None:
    with berth.frozen("worker", "images", "beat"):
        outsider.running()
    berth.assert_invariants()


def test_ten_launches_survive_a_redis_that_dies_and_forgets_all(berth: Berth, outsider: Caller) -> None:
    with berth.frozen("worker", "beat", "agent"):
        launched = [outsider.launch() for _ in range(10)]
        (berth.data / "redis/dump.rdb").unlink(missing_ok=True)
        another_runs = berth.kill("redis")
    another_runs()
    for pk in launched:
        outsider.wait(pk, "running")
    berth.assert_invariants()


def test_the_death_of_everything_at_once_loses_nothing(berth: Berth, outsider: Caller) -> None:
    launched = [outsider.launch(BOOT="2") for _ in range(2)]
    back = [berth.kill(name) for name in (*PROCESSES[:-2], "redis", "postgres")]
    for another_runs in back:
        another_runs()
    for pk in launched:
        outsider.wait(pk, "running")
    berth.assert_invariants()

"""Whatever is killed, whenever: every launch ends running or with a reason, and nothing is left over."""

import os
import signal
from contextlib import suppress

import pytest

from tests.chaos.conftest import Crew
from tests.system import Berth, Caller, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.docker]

PROCESSES = ("web", "live", "relay", "worker", "images", "beat", "agent", "gateway", "redis", "postgres")


@pytest.mark.parametrize("name", PROCESSES)
def test_the_death_of_one_process_costs_nothing(crew: Crew, name: str) -> None:
    crew.take_places()
    another_runs = crew.berth.kill(name)
    another_runs()
    crew.assert_arrived()


def test_workers_that_die_as_soon_as_the_container_is_there_leave_one_container(crew: Crew) -> None:
    """Between what the engine did and its record; whoever comes next adopts it."""
    children = crew.berth.pids("worker")[1:]
    crew.take_places()
    label = f"berth.allocation={crew.caller.workspace(crew.newcomer)['allocation']}"
    eventually(lambda: crew.berth.engine.names(label), "a container")
    kill(children)
    crew.assert_arrived()


def test_the_death_of_all_children_costs_nothing(crew: Crew) -> None:
    crew.take_places()
    kill([child for name in ("web", "gateway") for child in crew.berth.pids(name)[1:]])
    crew.assert_arrived()


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_pull_goes_on_although_who_pulls_is_killed(berth: Berth, outsider: Caller) -> None:
    berth.registry.hold()
    berth.publish("slow", berth.registry.add_image("slow", berth.tiny))
    pk = outsider.launch("slow")
    outsider.wait(pk, "pulling")
    eventually(lambda: berth.image("slow")["state"] == "building", "the begin of the pull")
    berth.kill("images")()
    berth.registry.let_go()
    outsider.wait(pk, "running", seconds=120)  # a lease of 45 seconds keeps a second one from pulling too early
    berth.assert_invariants()


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


def test_the_database_comes_back_to_launches_that_were_under_way(berth: Berth, outsider: Caller) -> None:
    launched = [outsider.launch(BOOT="2") for _ in range(4)]
    for _ in range(2):
        berth.kill("postgres")()
    for pk in launched:
        outsider.wait(pk, "running")
    berth.assert_invariants()


def test_stopping_everything_at_once_and_starting_again_loses_nothing(berth: Berth, outsider: Caller) -> None:
    launched = [outsider.launch(BOOT="2") for _ in range(2)]
    back = [berth.kill(name) for name in (*PROCESSES[:-2], "redis", "postgres")]
    for another_runs in back:
        another_runs()
    for pk in launched:
        outsider.wait(pk, "running")
    berth.assert_invariants()

"""The engine freezes, dies and comes back: Berth says what is true, and never more than it knows."""

import signal
from collections.abc import Iterator

import pytest

from deploy.engine import OPTIONS
from tests import system
from tests.callers import Caller, eventually
from tests.chaos.job_crew import GO, JobCrew, publish_template
from tests.chaos.private_engine import PrivateEngine
from tests.system import Berth, held_pull

pytestmark = [pytest.mark.chaos, pytest.mark.docker]


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    found = PrivateEngine()
    try:
        found.start(*OPTIONS)
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def berth(engine: PrivateEngine) -> Iterator[Berth]:
    with system.running(engine) as found:
        yield found


@pytest.fixture
def scientist(berth: Berth) -> Iterator[Caller]:
    found = berth.api("scientist")
    yield found
    found.delete_all()


def test_a_frozen_engine_is_called_unreachable_and_nothing_is_called_stopped(
    berth: Berth, engine: PrivateEngine, scientist: Caller
) -> None:
    pk = scientist.running()
    before = scientist.workspace(pk)
    engine.signal(signal.SIGSTOP)
    try:
        told = scientist.wait(pk, "unreachable")
        assert told["reason"]["code"] == "unreachable"
        cookies = berth.sign_in("scientist")
        for path in ("/", "/workspaces/", f"/workspaces/{pk}/", "/workspaces/new/tiny/", "/healthz"):
            assert berth.server.send("GET", "localhost", path, Cookie=cookies).status == 200, path
        assert scientist.visit(pk).status == 200  # what runs goes on
        late = scientist.launch()
        assert scientist.wait(late, "queued")["reason"]["code"] == "waiting"
    finally:
        engine.signal(signal.SIGCONT)
    after = scientist.wait(pk, "running")
    assert (after["allocation"], after["started_at"]) == (before["allocation"], before["started_at"])
    scientist.wait(late, "running")
    berth.assert_invariants()


def test_a_handful_of_pulls_that_hang_delays_no_other_on_an_engine_that_berth_started(
    berth: Berth, scientist: Caller
) -> None:
    berth.registry.hold()
    waiting = [held_pull(berth, scientist, f"slow-{number}") for number in range(5)]
    berth.publish("quick", berth.registry.add_image("quick", berth.tiny))
    scientist.wait(scientist.launch("quick"), "running")
    assert {scientist.phase(pk) for pk in waiting} == {"pulling"}
    berth.registry.let_go()
    for pk in waiting:
        scientist.wait(pk, "running")


def test_an_engine_that_keeps_containers_alive_may_die_unnoticed(
    berth: Berth, engine: PrivateEngine, scientist: Caller
) -> None:
    engine.restart("--live-restore")
    pk = scientist.running()
    before = scientist.workspace(pk)
    engine.end(signal.SIGKILL)
    scientist.wait(pk, "unreachable")
    engine.start("--live-restore")
    after = scientist.wait(pk, "running")
    assert (after["allocation"], after["started_at"]) == (before["allocation"], before["started_at"])
    assert len(berth.engine.names(f"berth.allocation={after['allocation']}")) == 1
    eventually(lambda: scientist.visit(pk).status == 200, "an answer through the gateway")
    berth.assert_invariants()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_restarts_ends_workspaces_for_that_reason(
    berth: Berth, engine: PrivateEngine, scientist: Caller, how: signal.Signals
) -> None:
    engine.restart()
    kept, begun = scientist.running(), scientist.launch(BOOT="3")
    scientist.wait(begun, "starting")
    engine.end(how)
    engine.start()
    for pk in (kept, begun):
        ended = scientist.wait(pk, "stopped", "failed")
        assert ended["reason"]["code"] == "engine_restart", ended
        eventually(lambda ended=ended: not berth.container(ended), "the removal of the container")  # type: ignore[misc]
    berth.assert_invariants()
    scientist.act(kept, "start")
    scientist.wait(kept, "running")


def test_an_engine_that_restarts_repeats_a_job_that_ran(berth: Berth, engine: PrivateEngine, scientist: Caller) -> None:
    engine.restart()
    publish_template(berth)
    jobs = JobCrew(berth, scientist)
    jobs.submit("runner", GO, retry_delay_seconds=0)
    jobs.wait("runner", "running")
    engine.restart()
    jobs.assert_repeated("runner", "engine_restart")

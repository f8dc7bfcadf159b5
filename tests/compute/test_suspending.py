"""Suspending and resuming over the fake engine, what comes in between, and the idle rule that does it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from environments import actions, idling
from environments.states import W, state_of
from portal.compute import activity
from portal.compute.agent import observing, watching
from portal.compute.decide import FREEZE_AFTER
from portal.compute.models import Activity, Allocation, Node
from portal.compute.reconcile import LOG_DRAIN, reconcile
from portal.compute.specs import container_name
from portal.compute.states import Reason
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Conflict
from portal.usage.models import UsageInterval
from runtimes.fake_engine import FakeEngine, Fault

pytestmark = pytest.mark.django_db
Settle = Callable[..., None]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def workspace(make_workspace: Callable[..., Any], settle: Settle) -> Any:
    made = make_workspace()
    settle()
    return made


@pytest.fixture
def suspended(workspace: Any, settle: Settle) -> Any:
    """Frozen as well; its time is FREEZE_AFTER from now."""
    actions.suspend(workspace, actor="vera")
    with clock.shifted(FREEZE_AFTER):
        settle()
    return workspace


def row(workspace: Any) -> Allocation:
    workspace.refresh_from_db()
    return Allocation.objects.get(pk=workspace.allocation_id)


def state(workspace: Any) -> W:
    return state_of(row(workspace), deleted=False)


def frozen(engine: FakeEngine, workspace: Any) -> bool:
    """The engine's word; the record must say the same."""
    seen = engine.observe(container_name(row(workspace)))
    assert seen.frozen == (row(workspace).frozen_at is not None)
    return seen.frozen


def test_it_freezes_once_nobody_is_let_in_any_more(workspace: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.suspend(workspace, actor="vera")
    settle()
    assert (state(workspace), frozen(fake_engine, workspace)) == (W.SUSPENDED, False)
    assert (row(workspace).next_look_at or clock.now()) <= clock.now() + timedelta(seconds=3)
    with clock.shifted(FREEZE_AFTER):
        settle()
    assert (state(workspace), frozen(fake_engine, workspace)) == (W.SUSPENDED, True)
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_resuming_goes_on_in_the_same_container(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    before = row(suspended)
    actions.resume(suspended, actor="vera")
    settle(1)
    after = row(suspended)
    assert (state(suspended), frozen(fake_engine, suspended)) == (W.RUNNING, False)
    assert (after.generation, after.address, after.container_started_at, after.phase_at) == (
        before.generation,
        before.address,
        before.container_started_at,
        before.phase_at,
    )


def test_resuming_in_time_freezes_nothing(workspace: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.suspend(workspace, actor="vera")
    settle()
    actions.resume(workspace, actor="vera")
    with clock.shifted(FREEZE_AFTER):
        settle()
    assert (state(workspace), frozen(fake_engine, workspace)) == (W.RUNNING, False)


def test_start_resumes_and_neither_is_an_error_twice(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.suspend(suspended, actor="vera")
    for _ in range(2):
        actions.start(suspended, actor="vera")
        actions.resume(suspended, actor="vera")
    settle()
    assert (state(suspended), frozen(fake_engine, suspended)) == (W.RUNNING, False)


def test_the_price_runs_on(suspended: Any) -> None:
    assert UsageInterval.objects.filter(ended_at=None).count() == 2
    assert row(suspended).node is not None


def test_a_stop_reaches_a_frozen_one(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.stop(suspended, actor="vera")
    settle()
    ended = row(suspended)
    assert (state(suspended), ended.reason, ended.frozen_at) == (W.STOPPED, Reason.STOPPED, None)
    with clock.shifted(LOG_DRAIN + FREEZE_AFTER):
        settle()
    assert fake_engine.containers == {}


def test_a_delete_reaches_a_frozen_one(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.delete(suspended, delete_files=False, actor="vera")
    settle()
    with clock.shifted(LOG_DRAIN + FREEZE_AFTER):
        settle()
    assert fake_engine.containers == {}


def test_a_restart_is_a_fresh_container_that_moves(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    actions.restart(suspended, actor="vera")
    settle()
    after = row(suspended)
    assert (after.generation, state(suspended), frozen(fake_engine, suspended)) == (2, W.RUNNING, False)
    assert list(fake_engine.containers) == [container_name(after)]


def test_an_engine_restart_ends_it_as_it_ends_others(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    fake_engine.restart()
    Node.objects.update(outage_from=clock.now(), outage_until=clock.now() + timedelta(seconds=5))
    reconcile(suspended.allocation_id)
    assert (state(suspended), row(suspended).reason) == (W.STOPPED, Reason.ENGINE_RESTART)


@pytest.mark.parametrize(("verb", "wanted"), [("freeze", W.SUSPENDED), ("thaw", W.RUNNING)])
def test_what_was_done_without_an_answer_is_seen(
    suspended: Any, settle: Settle, fake_engine: FakeEngine, verb: str, wanted: W
) -> None:
    if verb == "freeze":
        fake_engine.driver.thaw(container_name(row(suspended)))  # type: ignore[attr-defined]
        reconcile(suspended.allocation_id)
    else:
        actions.resume(suspended, actor="vera")
    fake_engine.inject(Fault.UNANSWERED, verb)
    with clock.shifted(2 * FREEZE_AFTER):
        reconcile(suspended.allocation_id)
    with clock.shifted(2 * MINUTE):
        settle()
    assert (state(suspended), frozen(fake_engine, suspended)) == (wanted, wanted == W.SUSPENDED)


def test_somebody_elses_thaw_and_freeze_are_undone(suspended: Any, settle: Settle, fake_engine: FakeEngine) -> None:
    driver, name = fake_engine.driver, container_name(row(suspended))  # type: ignore[attr-defined]
    driver.thaw(name)
    with clock.shifted(FREEZE_AFTER):
        watching.compare()
        settle()
    assert frozen(fake_engine, suspended)
    actions.resume(suspended, actor="vera")
    settle()
    driver.freeze(name)
    with clock.shifted(MINUTE):
        watching.compare()
        settle()
    assert (state(suspended), frozen(fake_engine, suspended)) == (W.RUNNING, False)


def test_the_sweep_takes_a_frozen_one_for_what_it_is(suspended: Any, fake_engine: FakeEngine) -> None:
    with clock.shifted(MINUTE):
        watching.compare()
        confirmed = row(suspended).confirmed_at
        assert confirmed is not None
        assert confirmed >= clock.now() - timedelta(seconds=5)


def test_the_sweep_rings_where_the_engine_has_it_otherwise(
    suspended: Any, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(watching, "ring_reconcile", rung.append)
    watching.compare()
    assert rung == []
    fake_engine.driver.thaw(container_name(row(suspended)))  # type: ignore[attr-defined]
    watching.compare()
    assert rung == [suspended.allocation_id]


def test_one_that_dies_frozen_is_told_as_such(suspended: Any, fake_engine: FakeEngine) -> None:
    fake_engine.end(container_name(row(suspended)), 137, out_of_memory=True)
    reconcile(suspended.allocation_id)
    assert (state(suspended), row(suspended).reason) == (W.FAILED, Reason.OOM)


def test_an_engine_that_hangs_is_unknown_and_resuming_is_remembered(
    suspended: Any, settle: Settle, fake_engine: FakeEngine
) -> None:
    fake_engine.inject(Fault.HANG, "inspect", times=100)
    reconcile(suspended.allocation_id)
    assert state(suspended) == W.UNREACHABLE
    actions.resume(suspended, actor="vera")
    fake_engine.clear_faults()
    with clock.shifted(2 * MINUTE):
        settle()
    assert (state(suspended), frozen(fake_engine, suspended)) == (W.RUNNING, False)


def test_only_what_runs_can_be_suspended(workspace: Any, make_workspace: Callable[..., Any], settle: Settle) -> None:
    queued = make_workspace()
    with pytest.raises(Conflict):
        actions.suspend(queued, actor="vera")
    actions.stop(workspace, actor="vera")
    settle()
    for verb in (actions.suspend, actions.resume):
        with pytest.raises(Conflict) as conflict:
            verb(workspace, actor="vera")
        assert conflict.value.code == "not_running"


def test_where_nothing_can_be_frozen_it_says_so(workspace: Any, fake_engine: FakeEngine) -> None:
    fake_engine.driver.freezes = False  # type: ignore[attr-defined]
    watching.note_node(fake_engine.driver.check())  # type: ignore[attr-defined]
    with pytest.raises(Conflict) as conflict:
        actions.suspend(workspace, actor="vera")
    assert conflict.value.code == "cannot_suspend"


def look(workspace: Any) -> Any:
    """One round of the agent, of workers and of the tick."""
    observing.look(row(workspace))
    idling.settle_due()
    reconcile(workspace.allocation_id)
    workspace.refresh_from_db()
    return workspace


@pytest.fixture
def idle(workspace: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Suspended by the rule after 30 minutes, stopped after 120."""
    from environments.models import Template

    Template.objects.update(idle={"suspend_after_minutes": 30, "stop_after_minutes": 120, "most_minutes": 480})
    monkeypatch.setattr(activity, "_get", answer)
    return look(workspace)


def answer(allocation: Allocation, path: str) -> Any:
    if allocation.frozen_at:
        raise activity.Silent("A frozen application answers nothing, and nobody may wait for it.")
    return []


def pass_time(workspace: Any, begin: int, end: int) -> None:
    """Without a gap in which nobody looked: that would not count as idle."""
    for minute in range(begin, end + 1, 2):
        with clock.shifted(minute * MINUTE):
            look(workspace)


def test_the_rule_suspends_first_then_warns_then_stops(idle: Any, fake_engine: FakeEngine) -> None:
    pass_time(idle, 2, 28)
    assert state(idle) == W.RUNNING
    pass_time(idle, 30, 34)
    assert (state(idle), frozen(fake_engine, idle), idle.warned_at) == (W.SUSPENDED, True, None)
    pass_time(idle, 36, 108)
    assert (state(idle), idle.warned_at) == (W.SUSPENDED, None)
    pass_time(idle, 110, 118)
    assert (state(idle), idle.warned_at is not None) == (W.SUSPENDED, True)
    pass_time(idle, 120, 126)
    assert (state(idle), row(idle).reason) == (W.STOPPED, Reason.IDLE)


def test_resuming_is_use(idle: Any) -> None:
    pass_time(idle, 2, 50)
    with clock.shifted(50 * MINUTE):
        actions.resume(idle, actor="vera")
    pass_time(idle, 50, 78)
    assert (state(idle), idle.counted) == (W.RUNNING, "traffic")
    pass_time(idle, 80, 84)
    assert state(idle) == W.SUSPENDED


def test_what_is_kept_running_is_not_suspended(idle: Any) -> None:
    actions.extend(idle, clock.now() + 100 * MINUTE, actor="vera")
    pass_time(idle, 2, 98)
    assert state(idle) == W.RUNNING
    pass_time(idle, 100, 106)
    assert state(idle) == W.SUSPENDED


def test_use_that_is_seen_in_time_is_not_suspended(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer from before the deadline is none."""
    pass_time(idle, 2, 28)
    busy = [{"execution_state": "busy", "last_activity": clock.now().isoformat()}]
    monkeypatch.setattr(activity, "_get", lambda allocation, path: busy if path == "api/kernels" else [])
    with clock.shifted(31 * MINUTE):
        idling.settle(idle.pk)
        assert state(idle) == W.RUNNING
        look(idle)
        assert state(idle) == W.RUNNING


def test_a_rule_that_stops_sooner_suspends_nothing(idle: Any) -> None:
    actions.set_auto_stop(idle, 20, actor="vera")
    pass_time(idle, 2, 36)
    assert state(idle) == W.STOPPED


def test_new_minutes_count_for_a_suspended_one_too(idle: Any) -> None:
    pass_time(idle, 2, 34)
    actions.set_auto_stop(idle, 60, actor="vera")
    pass_time(idle, 36, 80)
    assert state(idle) == W.STOPPED


def test_where_nothing_can_be_frozen_the_rule_only_stops(idle: Any) -> None:
    Node.objects.update(freezes=False)
    pass_time(idle, 2, 60)
    assert state(idle) == W.RUNNING


def test_a_frozen_one_is_not_asked_and_is_known_to_do_nothing(idle: Any, fake_engine: FakeEngine) -> None:
    pass_time(idle, 2, 60)
    found = Activity.objects.get()
    assert frozen(fake_engine, idle)
    assert (found.trouble, found.asked_at is not None) == ("", True)


def test_while_the_engine_is_away_a_suspended_one_is_not_stopped(idle: Any, fake_engine: FakeEngine) -> None:
    pass_time(idle, 2, 34)
    fake_engine.inject(Fault.HANG, "inspect", times=1000)
    with clock.shifted(40 * MINUTE):
        reconcile(idle.allocation_id)
    assert observing._running() == []
    with clock.shifted(130 * MINUTE):
        idling.settle_due()
    assert row(idle).desired == "suspend"

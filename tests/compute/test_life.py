"""A workspace's compute from the click to the end, over the fake engine: one path for every fault."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from environments import actions
from environments.states import W, state_of
from portal.compute.agent import watching
from portal.compute.decide import START_LIMIT, STOP_GRACE
from portal.compute.models import Allocation, Node
from portal.compute.reconcile import LOG_DRAIN, reconcile
from portal.compute.specs import container_name
from portal.compute.states import Phase, Reason
from portal.invariants import violations
from portal.lib import clock
from portal.usage.models import UsageInterval
from runtimes.base import ContainerState
from runtimes.fake_engine import FakeEngine, Fault

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Settle = Callable[..., None]


def state(workspace: Any) -> W:
    workspace.refresh_from_db()
    return state_of(Allocation.objects.get(pk=workspace.allocation_id), deleted=False)


def allocation(workspace: Any) -> Allocation:
    workspace.refresh_from_db()
    return Allocation.objects.get(pk=workspace.allocation_id)


def test_click_and_it_runs(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspace = make_workspace()
    settle()
    assert state(workspace) == W.RUNNING
    row = allocation(workspace)
    spec = fake_engine.containers[container_name(row)].spec
    assert spec.labels["berth.owner"] == workspace.pk
    assert spec.environment["JUPYTER_TOKEN"] not in ("", "{secret}")
    assert [t.to_phase for t in row.transitions.all()] == ["pending", "admitted", "creating", "starting", "running"]
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_stop_start_keeps_the_home(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspace = make_workspace()
    settle()
    first = allocation(workspace)
    actions.stop(workspace, actor="vera")
    settle()
    assert state(workspace) == W.STOPPED
    ended = Allocation.objects.get(pk=first.pk)
    assert (ended.reason, ended.address) == (Reason.STOPPED, "")
    with clock.shifted(LOG_DRAIN):
        settle()
    assert fake_engine.containers == {}
    actions.start(workspace, actor="vera")
    settle()
    second = allocation(workspace)
    assert second.pk != first.pk
    assert second.spec["mounts"] == first.spec["mounts"]
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_a_cancelled_launch_leaves_nothing(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspace = make_workspace()
    actions.stop(workspace, actor="vera")
    settle()
    assert allocation(workspace).reason == Reason.CANCELLED
    assert fake_engine.containers == {}
    assert not UsageInterval.objects.exists()


@pytest.mark.parametrize(("fault", "reason"), [(Fault.ERROR, Reason.ENGINE_ERROR), (Fault.DIES, Reason.FAILED)])
def test_a_launch_that_goes_wrong_says_why_and_can_be_retried(
    fault: Fault, reason: Reason, make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    fake_engine.inject(fault)
    workspace = make_workspace()
    settle()
    assert state(workspace) == W.FAILED
    assert allocation(workspace).reason == reason
    assert allocation(workspace).message
    with clock.shifted(timedelta(minutes=1)):
        settle()
    assert fake_engine.containers == {}
    actions.start(workspace, actor="vera")
    settle()
    assert state(workspace) == W.RUNNING


def test_one_lost_before_anybody_saw_it_is_made_again(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    fake_engine.inject(Fault.LOST)
    workspace = make_workspace()
    settle()
    assert state(workspace) == W.RUNNING
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_a_container_that_never_starts_times_out(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    fake_engine.inject(Fault.NEVER)
    workspace = make_workspace()
    settle()
    assert state(workspace) == W.STARTING
    with clock.shifted(START_LIMIT):
        settle()
        assert allocation(workspace).reason == Reason.START_TIMEOUT


def test_an_engine_that_hangs_is_unknown_never_stopped(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    workspace = make_workspace()
    settle()
    fake_engine.inject(Fault.HANG, "inspect", times=100)
    reconcile(workspace.allocation_id)
    assert state(workspace) == W.UNREACHABLE
    assert UsageInterval.objects.filter(ended_at=None).count() == 2
    fake_engine.clear_faults()
    with clock.shifted(timedelta(minutes=1)):
        settle()
    assert state(workspace) == W.RUNNING


def test_an_answer_lost_after_create_is_adopted(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    fake_engine.inject(Fault.UNANSWERED)
    workspace = make_workspace()
    settle(1)
    assert state(workspace) == W.UNREACHABLE
    with clock.shifted(timedelta(minutes=1)):
        settle()
        assert state(workspace) == W.RUNNING
        assert len(fake_engine.containers) == 1
        assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_a_vanished_container_ends_at_its_last_confirmation(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    workspace = make_workspace()
    settle()
    confirmed = allocation(workspace).confirmed_at
    fake_engine.vanish(container_name(allocation(workspace)))
    with clock.shifted(timedelta(hours=1)):
        reconcile(workspace.allocation_id)
    row = allocation(workspace)
    assert (row.reason, row.ended_at) == (Reason.LOST, confirmed)
    assert state(workspace) == W.FAILED


def test_a_restart_is_a_fresh_container_in_the_same_place(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    workspace = make_workspace()
    settle()
    before = allocation(workspace)
    actions.restart(workspace, actor="vera")
    settle()
    after = allocation(workspace)
    assert (after.pk, after.generation, after.phase) == (before.pk, 2, Phase.RUNNING)
    assert list(fake_engine.containers) == [container_name(after)]
    assert UsageInterval.objects.filter(ended_at=None).count() == 2
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_a_stubborn_container_is_forced_after_its_grace(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace()
    settle()
    gentle = fake_engine.driver.stop  # type: ignore[attr-defined]
    monkeypatch.setattr(
        fake_engine.driver,  # type: ignore[attr-defined]
        "stop",
        lambda name, *, force=False: gentle(name, force=True) if force else None,
    )
    actions.stop(workspace, actor="vera")
    settle()
    assert state(workspace) == W.STOPPING
    with clock.shifted(STOP_GRACE):
        settle()
    assert state(workspace) == W.STOPPED


def test_a_missing_image_is_fetched_and_the_launch_goes_on(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    from environments.models import Image

    fake_engine.inject(Fault.IMAGE_MISSING)
    workspace = make_workspace()
    settle()
    assert allocation(workspace).phase == Phase.PULLING
    assert Image.objects.get(pk="jupyter-python").state == "queued"
    Image.objects.update(state="ready")
    with clock.shifted(timedelta(seconds=10)):
        settle()
    assert state(workspace) == W.RUNNING


def test_a_failed_image_fails_the_launch(make_workspace: Make, settle: Settle) -> None:
    from environments.models import Image

    Image.objects.update(state="failed", failed_at=clock.now(), message="pip said no")
    workspace = make_workspace()
    settle()
    row = allocation(workspace)
    assert (row.phase, row.reason) == (Phase.ENDED, Reason.IMAGE_ERROR)
    assert "pip said no" in row.message


def test_the_sweep_finds_what_no_event_told(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspaces = [make_workspace() for _ in range(5)]
    settle()
    for workspace in workspaces:
        fake_engine.end(container_name(allocation(workspace)), 137)
    ended = {row.finished_at for row in fake_engine.containers.values()}
    watching.compare()
    with clock.shifted(timedelta(minutes=2)):
        settle()
    assert {allocation(workspace).ended_at for workspace in workspaces} <= ended
    assert all(state(workspace) == W.FAILED for workspace in workspaces)


def test_a_stranger_with_our_label_is_stopped_after_ten_minutes_only(
    make_workspace: Make, settle: Settle, fake_engine: FakeEngine
) -> None:
    workspace = make_workspace()
    settle()
    name = container_name(allocation(workspace))
    lone = fake_engine.containers.pop(name)
    stranger = name.replace(workspace.allocation_id, "01AAAAAAAAAAAAAAAAAAAAAAAA")
    fake_engine.containers[stranger] = lone
    watching.compare()
    assert fake_engine.observe(stranger).state == ContainerState.RUNNING
    with clock.shifted(timedelta(minutes=11)):
        watching.compare()
        assert fake_engine.observe(stranger).state == ContainerState.EXITED


def test_an_engine_restart_is_told_as_such(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspace = make_workspace()
    settle()
    fake_engine.restart()
    Node.objects.update(outage_from=clock.now(), outage_until=clock.now() + timedelta(seconds=5))
    reconcile(workspace.allocation_id)
    assert allocation(workspace).reason == Reason.ENGINE_RESTART
    assert state(workspace) == W.STOPPED


def test_an_unreachable_node_is_not_asked(make_workspace: Make, settle: Settle, fake_engine: FakeEngine) -> None:
    workspace = make_workspace()
    settle()
    Node.objects.update(unreachable_since=clock.now())
    fake_engine.inject(Fault.ERROR, "inspect", times=100)
    reconcile(workspace.allocation_id)
    assert state(workspace) == W.UNREACHABLE

"""The idle rule in effect: warning, extending, stopping, and what takes it back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from environments import actions, idling
from environments.models import Workspace
from environments.states import W, state_of
from portal.audit.models import AuditEvent
from portal.compute import activity
from portal.compute.agent import observing
from portal.compute.models import Activity, Allocation, Sample
from portal.compute.specs import container_name
from portal.compute.states import Reason
from portal.gateway.actions import note_activity
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from runtimes.base import Process
from runtimes.fake_engine import FakeEngine, Fault

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
MINUTE = timedelta(minutes=1)


class Jupyter:
    """What the application says of itself; nothing runs unless a test says so."""

    def __init__(self) -> None:
        self.kernels: list[dict[str, Any]] = []
        self.terminals: list[dict[str, Any]] = []
        self.silent = False

    def answer(self, allocation: Allocation, path: str) -> Any:
        if self.silent:
            raise activity.Silent("The application does not answer when asked what runs in it.")
        return {"api/kernels": self.kernels, "api/terminals": self.terminals}[path]


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Jupyter:
    made = Jupyter()
    monkeypatch.setattr(activity, "_get", made.answer)
    return made


@pytest.fixture
def workspace(make_workspace: Make, settle: Callable[..., None], jupyter: Jupyter) -> Any:
    made = make_workspace(name="churn-eda")
    settle()
    look(made)
    return made


def look(workspace: Any) -> Workspace:
    """One round of the agent and one tick."""
    allocation = Allocation.objects.get(pk=Workspace.objects.get(pk=workspace.pk).allocation_id)
    observing.look(allocation)
    idling.settle_due()
    workspace.refresh_from_db()
    return fresh(workspace)


def fresh(workspace: Any) -> Workspace:
    return Workspace.objects.select_related("allocation").get(pk=workspace.pk)


@contextmanager
def later(workspace: Any, minutes: float) -> Iterator[Workspace]:
    """Then, with the agent having looked every four minutes until now."""
    for minute in range(4, int(minutes), 4):
        with clock.shifted(minute * MINUTE):
            look(workspace)
    with clock.shifted(minutes * MINUTE):
        yield look(workspace)


def test_what_idles_is_warned_and_then_stopped_with_what_counted_last(
    workspace: Any, settle: Callable[..., None]
) -> None:
    with later(workspace, 45) as row:
        assert row.warned_at is None
        assert row.stops_at is not None
    with later(workspace, 52) as row:
        assert row.warned_at is not None
    with later(workspace, 64) as row:
        assert row.allocation is not None
        settle()
        ended = fresh(row).allocation
        assert ended is not None
        assert (state_of(ended, deleted=False), ended.reason) == (W.STOPPED, Reason.IDLE)
        assert ended.message.startswith("Nothing ran in it for 1 h")
        assert "it was started" in ended.message
    assert AuditEvent.objects.filter(verb="workspace.stop", actor=idling.ACTOR).exists()


def test_nobody_is_stopped_without_the_whole_warning(workspace: Any) -> None:
    """Though nobody looked when it was due: here the ticks were away, the agent was not."""
    allocation = Allocation.objects.get()
    for minute in range(4, 120, 4):
        with clock.shifted(minute * MINUTE):
            activity.note(allocation)
    with clock.shifted(120 * MINUTE):
        row = look(workspace)
        assert row.warned_at is not None
        assert allocation_wants(row) == "run"
    for minute in (124, 128):
        with clock.shifted(minute * MINUTE):
            assert allocation_wants(look(workspace)) == "run"
    with clock.shifted(131 * MINUTE):
        assert allocation_wants(look(workspace)) == "end"


def allocation_wants(row: Workspace) -> str:
    return Allocation.objects.get(pk=row.allocation_id).desired


def test_a_busy_kernel_is_never_stopped(workspace: Any, jupyter: Jupyter) -> None:
    jupyter.kernels = [{"execution_state": "busy", "last_activity": clock.now().isoformat()}]
    with later(workspace, 8 * 60) as row:
        assert (row.warned_at, row.counted) == (None, "kernel")
        assert allocation_wants(row) == "run"


def test_a_kernel_that_waits_counts_from_its_last_word(workspace: Any, jupyter: Jupyter) -> None:
    jupyter.kernels = [{"execution_state": "idle", "last_activity": (clock.now() + 20 * MINUTE).isoformat()}]
    with later(workspace, 60) as row:
        assert (row.warned_at, row.counted) == (None, "kernel")
    with later(workspace, 72) as row:
        assert row.warned_at is not None


@pytest.mark.parametrize(
    ("process", "counts"),
    [
        (Process("python3", terminal=True), True),
        (Process("bash", terminal=True), False),
        (Process("vim", terminal=True), False),
        (Process("python3", terminal=False), False),
    ],
)
def test_commands_in_terminals(workspace: Any, fake_engine: FakeEngine, process: Process, counts: bool) -> None:
    fake_engine.containers[container_name(Allocation.objects.get())].processes = [process]
    with later(workspace, 55) as row:
        assert (row.warned_at is None) == counts
        assert (row.counted == "terminal") == counts
    assert Activity.objects.get().terminal_command == ("python3" if counts else "")


@pytest.mark.parametrize(
    ("cores", "running", "counts"),
    [(0.02, 30 * MINUTE, False), (0.5, 30 * MINUTE, True), (0.5, MINUTE / 12, False)],
    ids=["at rest", "at work", "starting"],
)
def test_cpu_counts_from_a_tenth_of_a_core(workspace: Any, cores: float, running: timedelta, counts: bool) -> None:
    allocation = Allocation.objects.get()
    with clock.shifted(running):
        Sample.objects.create(allocation=allocation, at=clock.now(), cpu=cores, memory=1)
        assert (look(workspace).counted == "cpu") == counts


@pytest.fixture
def vs_code(make_workspace: Make, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is found at each path; a workspace with it runs."""
    found: dict[str, Any] = {"_static/used.json": 0}
    monkeypatch.setattr(activity, "_get", lambda allocation, path: found[path])
    make_workspace(template="vscode")
    settle()
    return found


def test_work_in_a_window_of_vs_code_counts_and_an_open_window_does_not(vs_code: dict[str, Any]) -> None:
    workspace = Workspace.objects.get()
    with later(workspace, 20) as row:
        assert row.counted == "started"
        vs_code["_static/used.json"] = int((clock.now() - MINUTE).timestamp() * 1000)
        row = look(workspace)
        assert (row.counted, row.idle_since) == ("traffic", Activity.objects.get().used_at)
    with later(workspace, 75) as row:
        assert row.warned_at is not None


@pytest.mark.parametrize("answer", [None, "soon", {"lastHeartbeat": 1}])
def test_vs_code_that_does_not_say_so_is_not_idle(vs_code: dict[str, Any], answer: Any) -> None:
    vs_code["_static/used.json"] = answer
    assert look(Workspace.objects.get()).stops_at is None
    assert Activity.objects.get().trouble == "VS Code's answer about its use makes no sense."


def test_a_clock_that_runs_ahead_keeps_nothing_running(vs_code: dict[str, Any]) -> None:
    vs_code["_static/used.json"] = int((clock.now() + timedelta(days=1)).timestamp() * 1000)
    row = look(Workspace.objects.get())
    assert row.idle_since is not None
    assert row.idle_since <= clock.now()


def test_what_cannot_be_asked_is_never_idle(workspace: Any, jupyter: Jupyter) -> None:
    with later(workspace, 20):
        jupyter.silent = True
    with clock.shifted(80 * MINUTE):
        row = look(workspace)
        assert (row.stops_at, row.warned_at) == (None, None)
        assert Activity.objects.get().trouble
        jupyter.silent = False
        row = look(workspace)
        assert (row.counted, row.warned_at) == ("known", None)


def test_an_engine_that_does_not_answer_is_not_idle(workspace: Any, fake_engine: FakeEngine) -> None:
    fake_engine.inject(Fault.HANG, "processes", times=100)
    with clock.shifted(80 * MINUTE):
        assert look(workspace).stops_at is None


def test_use_after_the_warning_takes_it_back(workspace: Any) -> None:
    with later(workspace, 55) as row:
        assert row.warned_at is not None
        note_activity(row.pk, row.last_activity_at)
        row = look(workspace)
        assert (row.warned_at, row.counted) == (None, "traffic")


def test_a_stop_needs_an_answer_from_after_the_deadline(workspace: Any, jupyter: Jupyter) -> None:
    """What was asked a moment before it may be wrong by now."""
    with later(workspace, 59):
        pass
    with clock.shifted(61 * MINUTE):
        idling.settle_due()
        assert allocation_wants(workspace) == "run"
        jupyter.kernels = [{"execution_state": "busy", "last_activity": clock.now().isoformat()}]
        assert allocation_wants(look(workspace)) == "run"


def test_extending_keeps_it_running(workspace: Any) -> None:
    with later(workspace, 55) as row:
        actions.extend(row, actor="vera")
        row = look(workspace)
        assert row.warned_at is None
        assert row.keep_until == row.stops_at
    with later(workspace, 100) as row:
        assert allocation_wants(row) == "run"
    with later(workspace, 120) as row:
        assert allocation_wants(row) == "end"


def test_it_can_be_kept_only_as_long_as_the_template_allows(workspace: Any) -> None:
    with pytest.raises(Invalid) as refused:
        actions.extend(workspace, clock.now() + timedelta(hours=9), actor="vera")
    assert list(refused.value.fields) == ["until"]
    with pytest.raises(Invalid):
        actions.extend(workspace, clock.now() - MINUTE, actor="vera")
    actions.extend(workspace, clock.now() + timedelta(hours=7), actor="vera")


def test_what_does_not_run_cannot_be_extended(workspace: Any, settle: Callable[..., None]) -> None:
    actions.stop(workspace, actor="vera")
    settle()
    with pytest.raises(Conflict):
        actions.extend(workspace, actor="vera")


def test_a_workspace_may_have_minutes_of_its_own(workspace: Any) -> None:
    actions.set_auto_stop(workspace, 20, actor="vera")
    with later(workspace, 12) as row:
        assert row.warned_at is not None
    actions.set_auto_stop(workspace, 240, actor="vera")
    with later(workspace, 100) as row:
        assert row.warned_at is None


@pytest.mark.parametrize("minutes", [0, 9, 481, 10**9])
def test_minutes_out_of_bounds_are_refused(workspace: Any, make_workspace: Make, minutes: int) -> None:
    with pytest.raises(Invalid) as refused:
        actions.set_auto_stop(workspace, minutes, actor="vera")
    assert list(refused.value.fields) == ["auto_stop_minutes"]
    with pytest.raises(Invalid):
        make_workspace(auto_stop_minutes=minutes)


def test_a_start_begins_anew(workspace: Any, settle: Callable[..., None]) -> None:
    with later(workspace, 55):
        actions.stop(workspace, actor="vera")
        settle()
        actions.start(workspace, actor="vera")
        settle()
        row = look(workspace)
        assert (row.warned_at, row.keep_until, row.counted) == (None, None, "started")


def test_one_mail_per_warning(workspace: Any, people: Any) -> None:
    people.vera.email = "vera@example.org"
    people.vera.save(update_fields=["email"])
    with later(workspace, 55):
        idling.mail_warning(workspace.pk)
        idling.mail_warning(workspace.pk)
    assert [one.to for one in mail.outbox] == [["vera@example.org"]]
    assert mail.outbox[0].subject.startswith("churn-eda looks idle and stops at ")
    assert f"/workspaces/{workspace.pk}/" in mail.outbox[0].body


def test_a_mail_whose_message_was_lost_is_asked_for_again(workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(idling, "ring_mail", rung.append)
    with later(workspace, 51):
        assert rung == []
    with clock.shifted(53 * MINUTE):
        idling.settle_due()
    assert rung == [workspace.pk]


def test_a_template_without_a_rule_never_stops(workspace: Any) -> None:
    from environments.models import Template

    Template.objects.update(idle=None)
    with later(workspace, 600) as row:
        assert (row.stops_at, row.warned_at) == (None, None)

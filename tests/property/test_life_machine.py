"""Any order of clicks, faults, crashes and lost messages keeps the invariants and converges."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule, run_state_machine_as_test

from environments import actions
from environments.launch import Launch
from environments.models import Workspace
from environments.states import ACTIVE, W, state_of
from portal.compute import admission, devices
from portal.compute.agent import watching
from portal.compute.models import Allocation, GpuHold, Node
from portal.compute.reconcile import reconcile
from portal.compute.specs import container_name
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from portal.quotas.models import GpuClass
from portal.usage import totals
from runtimes.base import ContainerState, RuntimeFailure
from runtimes.fake_engine import FakeEngine, Fault
from tests.jobs.test_life import ends
from tests.property.job_life import VERBS, JobLife, killed_after

FAULTS = [Fault.HANG, Fault.UNANSWERED, Fault.ERROR, Fault.SLOW, Fault.NEVER, Fault.DIES, Fault.LOST, Fault.DUPLICATE]


CLICKS = [actions.start, actions.stop, actions.restart, actions.suspend, actions.resume]


class Life(JobLife):
    """Each run works in a transaction that is rolled back."""

    workspaces = Bundle("workspaces")

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        self.engine.containers.clear()
        self.engine.clear_faults()
        self.devices_come_or_go(2)
        self.passed = timedelta(0)
        self.time: Any = None

    def teardown(self) -> None:
        try:
            self.calm_down()
        finally:
            self.back_to_now()  # left open, it would end whenever the garbage collector comes by
            self.engine.clear_faults()
            transaction.set_rollback(True)
            self.outer.__exit__(None, None, None)

    def back_to_now(self) -> None:
        if self.time is not None:
            self.time.__exit__(None, None, None)
            self.time = None

    def at(self, passed: timedelta) -> None:
        self.back_to_now()
        self.passed, self.time = passed, clock.shifted(passed)
        self.time.__enter__()

    @rule(target=workspaces, size=st.sampled_from(["small", "gpu-1", "gpu-2"]))
    def create(self, size: str) -> Any:
        try:
            return actions.create(self.owner, Launch(template="jupyter-python", size=size), actor="vera").pk
        except Invalid as refused:  # so many devices are not there now
            assert set(refused.fields) == {"size"} != {size}
            return multiple()

    @rule(number=st.integers(0, 2))
    def devices_come_or_go(self, number: int) -> None:
        devices.note(Node.objects.get(), devices.declared({"a100": number}))

    @rule(pk=workspaces, act=st.sampled_from(CLICKS))
    def click(self, pk: str, act: Any) -> None:
        try:
            act(Workspace.objects.get(pk=pk), actor="vera")
        except Conflict:
            pass

    @rule(target=workspaces, pk=workspaces)
    def click_twice(self, pk: str) -> Any:
        self.click(pk, actions.start)
        self.click(pk, actions.start)
        return multiple()

    @rule()
    def admit(self) -> None:
        admission.admit()

    @rule(pk=workspaces)
    def look(self, pk: str) -> None:
        allocation = Workspace.objects.values_list("allocation", flat=True).get(pk=pk)
        reconcile(allocation)
        reconcile(allocation)

    @rule(pk=workspaces, verb=st.sampled_from(VERBS))
    def look_and_be_killed(self, pk: str, verb: str) -> None:
        with killed_after(self.engine.driver, verb):  # type: ignore[attr-defined]
            reconcile(Workspace.objects.values_list("allocation", flat=True).get(pk=pk))

    @rule(fault=st.sampled_from(FAULTS), verb=st.sampled_from(VERBS))
    def something_goes_wrong(self, fault: Fault, verb: str) -> None:
        if verb == "ensure" or fault in (Fault.HANG, Fault.UNANSWERED):
            self.engine.inject(fault, verb)

    @rule(pick=st.integers(0, 50), code=st.sampled_from([0, 1, 137]))
    def one_dies(self, pick: int, code: int) -> None:
        running = [n for n in self.engine.containers if self.engine.observe(n).state == ContainerState.RUNNING]
        if running:
            self.engine.end(running[pick % len(running)], code, out_of_memory=code == 137)

    @rule(pick=st.integers(0, 50))
    def one_is_removed_behind_our_back(self, pick: int) -> None:
        if self.engine.containers:
            self.engine.vanish(sorted(self.engine.containers)[pick % len(self.engine.containers)])

    @rule(pick=st.integers(0, 50), verb=st.sampled_from(["freeze", "thaw"]))
    def one_is_frozen_or_thawed_behind_our_back(self, pick: int, verb: str) -> None:
        driver = self.engine.driver  # type: ignore[attr-defined]
        if names := sorted(self.engine.containers):
            try:
                getattr(driver, verb)(names[pick % len(names)])
            except RuntimeFailure:
                pass

    @rule()
    def engine_restarts(self) -> None:
        self.engine.restart()

    @rule()
    def sweep(self) -> None:
        try:
            watching.compare()
        except Exception as error:
            assert type(error).__name__ == "EngineUnreachable"

    @rule(killed=st.booleans())
    def usage_is_added_up(self, killed: bool) -> None:
        with suppress(KeyboardInterrupt), transaction.atomic():
            totals.add_up()
            if killed:
                raise KeyboardInterrupt

    @rule(seconds=st.sampled_from([1, 5, 31, 200]))
    def time_passes(self, seconds: int) -> None:
        self.at(self.passed + timedelta(seconds=seconds))

    @invariant()
    def what_must_hold_always(self) -> None:
        assert [found for found in violations() if not found.startswith("I10")] == []
        owners = [self.engine.containers[name].labels["berth.allocation"] for name in self.engine.containers]
        assert len(owners) <= len(set(owners)) + sum(name.endswith("-g0") for name in self.engine.containers) + len(
            Allocation.objects.filter(generation__gt=1)
        )

    def calm_down(self) -> None:
        """No more faults, and time passes: everything has converged, and record and engine agree."""
        self.engine.clear_faults()
        self.devices_come_or_go(2)
        for _ in range(12):
            self.at(self.passed + timedelta(seconds=61))
            self.calm_jobs()
            watching.compare()
            self.look_at_all_due()
        assert violations(self.engine.driver) == []  # type: ignore[attr-defined]
        for workspace in Workspace.objects.select_related("allocation"):
            state = state_of(workspace.allocation, deleted=False)
            assert workspace.allocation is not None
            if state == W.QUEUED:  # for GPUs, which others hold
                assert workspace.allocation.gpu_count > 2 - GpuHold.objects.filter(until=None).count()
                continue
            assert state in (W.RUNNING, W.SUSPENDED, W.STOPPED, W.FAILED)
            seen = self.engine.observe(container_name(workspace.allocation))
            assert (seen.state != ContainerState.ABSENT) == (state in ACTIVE)
            assert seen.frozen == (state == W.SUSPENDED) == (workspace.allocation.frozen_at is not None)
            assert state != W.FAILED or workspace.allocation.message
        self.do_all_files()
        self.assert_jobs_arrived()
        self.jobs_end_once()
        self.attempts_follow_each_other()


@pytest.mark.property
@pytest.mark.django_db
def test_any_order_of_events_converges(
    people: Any, catalog: None, fake_engine: FakeEngine, tmp_path: Path, settings: Any
) -> None:
    Life.engine, Life.owner, Life.folder = fake_engine, people.vera, tmp_path
    GpuClass.objects.update(each_person=None, each_team=None)
    ends(fake_engine, "quick", exit_code=0)
    ends(fake_engine, "bad", exit_code=1)
    settings.RUNTIME, settings.VOLUMES = "local", str(tmp_path)
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Life, settings=examples(max_examples=20, stateful_step_count=30, suppress_health_check=checks)
    )

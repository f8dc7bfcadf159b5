"""Any order of starts, stops, restarts, faults, crashes and lost messages keeps the invariants and converges."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from environments import actions
from environments.models import Workspace
from environments.states import ACTIVE, W, state_of
from portal.compute import admission
from portal.compute.agent import watching
from portal.compute.models import Allocation
from portal.compute.reconcile import reconcile
from portal.compute.specs import container_name
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Conflict
from runtimes.base import ContainerState
from runtimes.fake import FakeEngine, Fault

FAULTS = [Fault.HANG, Fault.UNANSWERED, Fault.ERROR, Fault.SLOW, Fault.NEVER, Fault.DIES, Fault.LOST, Fault.DUPLICATE]


class Killed(BaseException):
    """kill -9 in the middle of a step: no handler of ours may see it."""


class Life(RuleBasedStateMachine):
    """`engine` and `owner` are set by the test; each run works in a transaction that is rolled back."""

    engine: FakeEngine
    owner: Any
    workspaces = Bundle("workspaces")

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        self.engine.containers.clear()
        self.engine.clear_faults()
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

    @rule(target=workspaces)
    def create(self) -> Any:
        return actions.create(self.owner, template="jupyter-python", actor="vera").pk

    @rule(pk=workspaces, act=st.sampled_from([actions.start, actions.stop, actions.restart]))
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

    @rule(pk=workspaces, verb=st.sampled_from(["ensure", "stop", "remove"]))
    def look_and_be_killed(self, pk: str, verb: str) -> None:
        """The engine did it, and then the worker was gone: what it had in its hands is not written."""
        driver = self.engine.driver  # type: ignore[attr-defined]
        real = getattr(driver, verb)

        def killed(*args: Any, **options: Any) -> None:
            real(*args, **options)
            raise Killed

        setattr(driver, verb, killed)
        try:
            reconcile(Workspace.objects.values_list("allocation", flat=True).get(pk=pk))
        except Killed:
            pass
        finally:
            delattr(driver, verb)

    @rule(fault=st.sampled_from(FAULTS), verb=st.sampled_from(["ensure", "inspect", "stop", "remove"]))
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

    @rule()
    def engine_restarts(self) -> None:
        self.engine.restart()

    @rule()
    def sweep(self) -> None:
        try:
            watching.compare()
        except Exception as error:
            assert type(error).__name__ == "EngineUnreachable"

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
        for _ in range(12):
            self.at(self.passed + timedelta(seconds=61))
            admission.admit()
            watching.compare()
            for pk in Allocation.objects.filter(next_look_at__lte=clock.now()).values_list("pk", flat=True):
                reconcile(pk)
        assert violations(self.engine.driver) == []  # type: ignore[attr-defined]
        for workspace in Workspace.objects.select_related("allocation"):
            state = state_of(workspace.allocation, deleted=False)
            assert state in (W.RUNNING, W.STOPPED, W.FAILED)
            assert workspace.allocation is not None
            runs = container_name(workspace.allocation) in self.engine.containers
            assert runs == (state in ACTIVE)
            assert state != W.FAILED or workspace.allocation.message


@pytest.mark.property
@pytest.mark.django_db
def test_any_order_of_events_converges(people: Any, catalog: None, fake_engine: FakeEngine) -> None:
    Life.engine, Life.owner = fake_engine, people.vera
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Life, settings=settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    )

"""A fault of ours with one row of due work: it is left alone for a while, and what is behind it goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs import actions, holding, sweeps
from jobs.models import Attempt, Job
from jobs.plan_models import Sweep
from jobs.plan_states import Hold
from jobs.states import ArtifactsState, J
from portal.compute.models import Allocation
from portal.compute.states import Desired
from portal.lib import clock
from portal.lib.postponing import POSTPONED
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.plans import make_sweep
from tests.jobs.test_life import ends

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]
Poison = Callable[..., None]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """From now on this function of this module fails for the row with this key; one row is done at a time."""

    def spoil(module: Any, name: str, poisoned: Any) -> None:
        real = getattr(module, name)

        def failing(row: Any, *others: Any, **named: Any) -> Any:
            if getattr(row, "pk", row) == poisoned:
                raise ZeroDivisionError
            return real(row, *others, **named)

        monkeypatch.setattr(module, name, failing)
        monkeypatch.setattr(module, "BATCH", 1)

    return spoil


def test_what_follows_an_attempt(
    submit: Submit, tick: Tick, fake_engine: FakeEngine, poison: Poison, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(fake_engine, "flaky", exit_code=9)
    rules = [{"log_contains": "busy", "then": "fail"}]
    first, other = [submit(command=["flaky"], retry_rules=rules) for _ in range(2)]
    tick(1)
    Allocation.objects.update(log_state="complete")
    poison(actions, "_settle", first.attempts.get().pk)
    actions.settle_due()
    actions.settle_due()
    assert [job.attempts.get().counted for job in (first, other)] == [None, True]
    monkeypatch.undo()
    actions.settle_due()
    assert first.attempts.get().counted is None
    with clock.shifted(POSTPONED):
        actions.settle_due()
    assert first.attempts.get().counted is True


def test_an_attempt_that_runs_too_long(submit: Submit, tick: Tick, fake_engine: FakeEngine, poison: Poison) -> None:
    first, other = [submit(max_duration_seconds=60) for _ in range(2)]
    tick(1)
    poison(actions, "_end_if_overdue", first.attempts.get().pk)
    with clock.shifted(timedelta(seconds=61)):
        actions.end_overdue()
    wanted = Attempt.objects.order_by("job").values_list("job", "allocation__desired")
    assert list(wanted) == [(first.pk, Desired.RUN), (other.pk, Desired.END)]


def test_a_job_that_waits_no_longer(submit: Submit, tick: Tick, fake_engine: FakeEngine, poison: Poison) -> None:
    ends(fake_engine, "true", exit_code=0)
    before = submit(command=["true"])
    first, _ = [submit(after=[before.pk]) for _ in range(2)]
    tick(1)
    poison(holding, "_waited", first.pk)
    holding.release_due()
    holding.release_due()
    assert list(Job.objects.filter(hold=Hold.AFTER)) == [first]


def test_the_turn_of_a_sweep(people: People, catalog: None, poison: Poison) -> None:
    first, other = [make_sweep(people.vera) for _ in range(2)]
    Sweep.objects.update(parallelism=3)
    poison(holding, "take_turns", first.pk)
    holding.release_due()
    holding.release_due()
    assert [sweep.jobs.filter(hold=Hold.NONE).count() for sweep in (first, other)] == [2, 3]


def test_a_sweep_that_is_being_cancelled(people: People, catalog: None, poison: Poison) -> None:
    first, other = [make_sweep(people.vera) for _ in range(2)]
    Sweep.objects.update(cancelling=True, cancelled_by="vera")
    Job.objects.filter(sweep=other).exclude(point=1).delete()
    poison(sweeps, "_cancel_batch", first.pk)
    for _ in range(3):
        sweeps.cancel_due()
    assert list(Sweep.objects.filter(cancelling=True)) == [first]
    assert Job.objects.get(sweep=other).state == J.CANCELLED


def test_files_to_forget(submit: Submit, tick: Tick, fake_engine: FakeEngine, poison: Poison, settings: Any) -> None:
    ends(fake_engine, "true", exit_code=0)
    other, newest = [submit(command=["true"]) for _ in range(2)]
    tick(1)
    poison(actions, "publish", newest.topic)
    with clock.shifted(timedelta(days=settings.JOB_FILES_DAYS + 1)):
        actions.forget_files()
        actions.forget_files()
    assert list(Job.objects.filter(artifacts_state=ArtifactsState.REMOVED)) == [other]

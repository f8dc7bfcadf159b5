"""Jobs that wait for other jobs: until those have succeeded or ended, or never."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs import actions, holding, snapshots
from jobs.models import Job
from jobs.states import J
from portal.compute.states import Reason
from portal.invariants import violations
from portal.lib.errors import Invalid
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.test_life import ends, now_running

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


def test_it_waits_until_the_other_has_succeeded(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    first = submit(name="train churn-net")
    second = submit(after=[first.pk])
    tick()
    second.refresh_from_db()
    assert (second.state, second.message) == (J.QUEUED, "Waits for train churn-net to succeed")
    assert second.attempts.count() == 0
    fake_engine.end(now_running(first), 0)
    tick()
    second.refresh_from_db()
    assert (second.state, second.message) == (J.RUNNING, "")
    assert violations(fake_engine.driver) == []  # type: ignore[attr-defined]


def test_it_waits_for_all_of_them(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    before = [submit(name=name) for name in "abcde"]
    last = submit(after=[job.pk.lower() for job in before] + [before[0].pk], after_condition="all_ended")
    assert last.message == "Waits for a, b and 3 more to end"
    tick()
    for job, code in zip(before, (0, 1, 0, 1, 0), strict=True):
        last.refresh_from_db()
        assert (last.state, last.attempts.count()) == (J.QUEUED, 0)
        fake_engine.end(now_running(job), code)
        tick(1)
    tick(1)
    last.refresh_from_db()
    assert last.state == J.RUNNING


def test_what_can_no_longer_succeed_ends_all_that_waits_for_it(
    submit: Submit, tick: Tick, fake_engine: FakeEngine
) -> None:
    first = submit(name="prepare")
    second = submit(name="train", after=[first.pk])
    third = submit(name="report", after=[second.pk])
    however = submit(name="clean", after=[second.pk], after_condition="all_ended")
    tick()
    fake_engine.end(now_running(first), 3)
    tick()
    for job in (second, third, however):
        job.refresh_from_db()
    assert (second.state, second.reason) == (J.CANCELLED, Reason.CANCELLED)
    assert second.message == "It did not run, because prepare failed."
    assert third.message == "It did not run, because train was cancelled."
    assert however.state == J.RUNNING
    assert second.attempts.count() == third.attempts.count() == 0


def test_a_retry_of_the_first_is_not_its_end(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    first = submit(retries=1, retry_delay_seconds=0)
    second = submit(after=[first.pk])
    tick()
    fake_engine.end(now_running(first), 3)
    tick()
    second.refresh_from_db()
    assert (first.attempts.count(), second.state) == (2, J.QUEUED)


def test_cancelling_while_it_waits(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    first = submit()
    second = submit(after=[first.pk])
    actions.cancel(second, actor="vera")
    tick()
    second.refresh_from_db()
    assert (second.state, second.message, second.hold) == (J.CANCELLED, "Cancelled by vera.", "")
    fake_engine.end(now_running(first), 0)
    tick()
    assert second.attempts.count() == 0


def test_what_has_succeeded_is_not_waited_for(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "true", exit_code=0)
    first = submit(command=["true"])
    tick()
    second = submit(after=[first.pk])
    assert (second.hold, second.attempts.count()) == ("", 1)


def test_a_copy_of_code_does_not_begin_what_waits(
    submit: Submit, tick: Tick, make_workspace: Callable[..., Any]
) -> None:
    first = submit()
    second = submit(template=None, workspace=make_workspace().pk, after=[first.pk])
    assert second.snapshot is not None
    snapshots.arrived(second.snapshot, "0" * 64)
    tick()
    second.refresh_from_db()
    assert (second.attempts.count(), second.message) == (0, f"Waits for {first.name} to succeed")


def test_what_may_be_waited_for(submit: Submit, tick: Tick, fake_engine: FakeEngine, people: People) -> None:
    ends(fake_engine, "bad", exit_code=3)
    failed, others = submit(command=["bad"], name="prepare"), submit(owner=people.oda)
    tick()
    count = Job.objects.count()
    for after, said in (
        (["01ARZ3NDEKTSV4RRFFQ69G5FAV"], "There is no job"),
        (["nonsense\0"], "character"),
        ([others.pk], "There is no job"),
        ([failed.pk], "prepare failed already"),
        (["x"] * 3 + [f"y{n}" for n in range(60)], "at most 50"),
    ):
        with pytest.raises(Invalid) as problem:
            submit(after=after)
        assert said in problem.value.fields["after"][0]
    with pytest.raises(Invalid) as problem:
        submit(after=[failed.pk], after_condition="perhaps")
    assert "after_condition" in problem.value.fields
    assert Job.objects.count() == count
    assert submit(after=[failed.pk], after_condition="all_ended").hold == ""
    assert submit(owner=people.luis, after=[submit().pk]).hold == "after"  # a lead sees what the team runs


def test_waiting_costs_two_queries_a_tick(
    submit: Submit, fake_engine: FakeEngine, django_assert_num_queries: Any
) -> None:
    first = submit()
    for _ in range(20):
        submit(after=[first.pk])
    with django_assert_num_queries(2):
        holding.release_due()

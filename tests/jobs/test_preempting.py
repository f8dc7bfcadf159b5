"""What a team lent is taken back from the jobs that borrowed it: gracefully, in good time, and never in vain."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from environments import actions as workspaces
from jobs.models import Attempt, Job
from jobs.states import J
from portal.compute import preempting
from portal.compute.models import Allocation
from portal.compute.states import Desired, Phase, Reason
from portal.invariants import violations
from portal.lib import clock
from portal.notices.models import Notice
from portal.notices.states import Kind
from portal.quotas.models import ResourceLimit
from tests.conftest import People

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]
Make = Callable[..., Any]
MINUTES = timedelta(minutes=1)


@pytest.fixture
def lent(catalog: None) -> None:
    """Two cores for each team, all of them lent, and taken back from jobs after half an hour."""
    ResourceLimit.objects.all().delete()
    shared = {"team_lends": 2, "team_borrows": 4, "reclaim_after_minutes": 30}
    ResourceLimit.objects.create(resource="cpu", each_team=2, **shared)


def states(*jobs: Job) -> list[str]:
    return [Job.objects.get(pk=job.pk).state for job in jobs]


def preempted() -> set[str]:
    return set(Allocation.objects.filter(end_reason=Reason.PREEMPTED).values_list("owner_id", flat=True))


def test_a_job_on_borrowed_cores_makes_room_and_is_tried_again(
    lent: None, people: People, submit: Submit, tick: Tick, fake_engine: Any
) -> None:
    jobs = [submit(size="small", retries=0, retry_delay_seconds=0) for _ in range(4)]
    tick()
    assert states(*jobs) == [J.RUNNING] * 4
    with clock.shifted(31 * MINUTES):
        back = submit(people.oda, size="small")
        tick()
        assert states(back) == [J.QUEUED]
        preempting.tick()
        [one] = preempted()
        assert one in {job.pk for job in jobs}
        preempting.tick()
        assert preempted() == {one}, "one that ends already is enough"
        tick()
        assert states(back) == [J.RUNNING]
        again = Job.objects.get(pk=one)
        assert again.state == J.QUEUED
        first, second = Attempt.objects.filter(job=again).order_by("number")
        assert (first.counted, second.number) == (False, 2)
        notice = Notice.objects.get(kind=Kind.WORK_STOPPED)
        assert (notice.user, notice.text) == (
            people.vera,
            f"{again.name} was stopped and stands in line again: it ran on what its team had borrowed; "
            "team Risk needed it.",
        )
        assert violations(fake_engine.driver) == []
        preempting.tick()
        assert preempted() == {one}


def test_nobody_gives_back_what_is_their_own_or_before_it_is_time(
    lent: None, people: People, submit: Submit, tick: Tick
) -> None:
    jobs = [submit(size="small") for _ in range(4)]
    tick()
    with clock.shifted(29 * MINUTES):
        submit(people.oda, size="small")
        tick()
        preempting.tick()
        assert preempted() == set()
    with clock.shifted(31 * MINUTES):
        for _ in range(3):
            submit(people.oda, size="small")
        for _ in range(4):
            preempting.tick()
            tick()
        assert len(preempted()) == 2, "the other two run on what is their own"
        running = Job.objects.filter(state=J.RUNNING)
        assert running.filter(owner=people.oda).count() == 2
        assert running.filter(pk__in=[job.pk for job in jobs]).count() == 2


def test_workspaces_are_left_alone_and_nothing_is_ended_in_vain(
    lent: None, people: People, submit: Submit, make_workspace: Make, tick: Tick
) -> None:
    made = [make_workspace(size="small") for _ in range(3)]
    tick()
    job = submit(size="small")
    tick()
    assert states(job) == [J.RUNNING]
    with clock.shifted(31 * MINUTES):
        large = make_workspace(people.oda, size="medium")
        preempting.tick()
        assert preempted() == set(), "two cores are lacking, and one job has one"
        workspaces.stop(made[0], actor="vera")
        preempting.tick()
        assert preempted() == {job.pk}
        tick()
        assert Allocation.objects.get(owner_id=large.pk).phase == Phase.RUNNING


def test_no_job_makes_room_for_ever(lent: None, people: People, submit: Submit, tick: Tick) -> None:
    jobs = [submit(size="small", retry_delay_seconds=0) for _ in range(4)]
    tick()
    with clock.shifted(31 * MINUTES):
        submit(people.oda, size="small")
        for job in jobs:
            row = Allocation.objects.get(owner_id=job.pk)
            for _ in range(preempting.MOST_TIMES):
                row.pk, row.phase, row.ended_at, row.reason = None, Phase.ENDED, clock.now(), Reason.PREEMPTED
                row.desired = Desired.END
                row.save(force_insert=True)
        preempting.tick()
        assert preempted() == set()


def test_what_a_team_waits_for_is_lent_to_nobody_else_meanwhile(
    lent: None, people: People, submit: Submit, tick: Tick
) -> None:
    jobs = [submit(size="small") for _ in range(4)]
    tick()
    large, small = submit(people.oda, size="medium"), submit(size="small", priority="low")
    Allocation.objects.filter(owner_id=jobs[0].pk).update(desired=Desired.END)
    tick()
    assert states(large, small) == [J.QUEUED, J.QUEUED]
    Allocation.objects.filter(owner_id=jobs[1].pk).update(desired=Desired.END)
    tick()
    assert states(large, small) == [J.RUNNING, J.QUEUED]

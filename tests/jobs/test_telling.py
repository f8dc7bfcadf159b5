"""What people are told of jobs, sweeps and schedules: once, to their owner, and not what they did themselves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs import actions, scheduling, snapshots, sweeps
from jobs.models import Job
from jobs.states import J
from portal.accounts.models import Membership
from portal.lib import clock
from portal.notices.models import Notice
from portal.notices.states import Kind
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.plans import make_schedule, make_sweep
from tests.jobs.test_life import ends, now_running

pytestmark = pytest.mark.django_db
Submit = Callable[..., Job]
Tick = Callable[..., None]


def told() -> list[tuple[str, str]]:
    return [(notice.user.username, notice.text) for notice in Notice.objects.select_related("user").order_by("pk")]


def test_its_owner_is_told_once_that_a_job_succeeded(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    job = submit(name="train")
    tick()
    assert told() == []
    fake_engine.end(now_running(job), 0)
    tick()
    tick()
    notice = Notice.objects.get()
    assert (notice.user, notice.kind, notice.path) == (job.owner, Kind.JOB_SUCCEEDED, f"/jobs/{job.pk}/")
    assert notice.text.startswith("Job train succeeded after ")
    assert notice.facts == {
        "job": {"id": job.pk, "name": "train", "state": "succeeded", "reason": "completed", "exit_code": 0}
    }


def test_a_failed_job_says_why(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "false", exit_code=3)
    job = submit(name="train", command=["false"])
    tick()
    job.refresh_from_db()
    notice = Notice.objects.get()
    assert (notice.kind, notice.text) == (Kind.JOB_FAILED, f"Job train failed: {job.message}")
    assert (notice.facts["job"]["exit_code"], "3" in notice.text) == (3, True)


def test_only_the_last_of_its_attempts_is_told(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    ends(fake_engine, "false", exit_code=3)
    job = submit(command=["false"], retries=1)
    tick()
    assert told() == []
    with clock.shifted(timedelta(minutes=5)):
        tick()
    assert (job.attempts.count(), len(told())) == (2, 1)


def test_one_that_ran_too_long_timed_out(submit: Submit, tick: Tick, fake_engine: FakeEngine) -> None:
    submit(name="train", max_duration_seconds=60)
    tick()
    with clock.shifted(timedelta(minutes=2)):
        tick()
    [(_, text)] = told()
    assert text.startswith("Job train timed out: It ran longer than the 1 min it was given.")


def test_one_that_never_began_is_told(submit: Submit) -> None:
    snapshot = submit(name="train", folder="src").snapshot
    assert snapshot is not None
    snapshots.failed(snapshot, "Its code could not be copied.")
    assert told() == [("vera", "Job train failed: Its code could not be copied.")]


@pytest.mark.parametrize("running", [False, True])
def test_who_cancels_a_job_is_not_told_of_it_but_its_owner_is(
    submit: Submit, tick: Tick, fake_engine: FakeEngine, running: bool
) -> None:
    own, other = submit(name="own"), submit(name="other")
    if running:
        tick()
    actions.cancel(own, actor="vera")
    actions.cancel(other, actor="luis")
    tick()
    assert set(Job.objects.values_list("state", flat=True)) == {J.CANCELLED}
    assert told() == [("vera", "Job other was cancelled by luis.")]


def test_a_sweep_of_a_hundred_points_is_told_once(
    people: People, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = make_sweep(people.vera, space={"lr": list(range(100))}, name="search")
    for point in made.jobs.all():
        actions.cancel(point, actor="luis")
    assert told() == []
    tick()
    tick()
    assert told() == [("vera", "Sweep search has ended: 0 of 100 points succeeded.")]


def test_a_sweep_says_how_many_of_its_points_succeeded(
    people: People, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    for number in range(4):
        ends(fake_engine, "train", str(number), exit_code=int(number == 2))
    job = {"command": ["train", "{parameters.n}"]}
    made = make_sweep(people.vera, job=job, space={"n": list(range(4))}, parallelism=4, name="search")
    tick()
    notice = Notice.objects.get()
    assert (notice.user, notice.kind, notice.path) == (people.vera, Kind.SWEEP_FINISHED, made.get_absolute_url())
    assert notice.text == "Sweep search has ended: 3 of 4 points succeeded."
    assert notice.facts == {"sweep": {"id": made.pk, "name": "search", "points": 4, "succeeded": 3}}
    made.refresh_from_db()
    assert made.ended_at is not None


def test_a_sweep_with_a_point_under_way_has_not_ended(
    people: People, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = make_sweep(people.vera, space={"lr": [1, 2]}, parallelism=1)
    tick()
    fake_engine.end(now_running(made.jobs.get(point=1)), 0)
    tick()
    made.refresh_from_db()
    assert (made.ended_at, told()) == (None, [])


@pytest.mark.parametrize(("actor", "count"), [("vera", 0), ("luis", 1)])
def test_a_cancelled_sweep_is_told_to_its_owner_unless_she_did_it(
    people: People, catalog: None, tick: Tick, fake_engine: FakeEngine, actor: str, count: int
) -> None:
    made = make_sweep(people.vera)
    sweeps.cancel(made, actor=actor)
    tick()
    made.refresh_from_db()
    assert (made.ended_at is not None, len(told())) == (True, count)


def test_looking_for_ended_sweeps_costs_one_query(
    people: People, catalog: None, fake_engine: FakeEngine, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        make_sweep(people.vera)
    with django_assert_num_queries(1):
        sweeps.end_due()


def test_a_paused_schedule_is_told_with_its_reason_each_time(
    people: People, catalog: None, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = make_schedule(people.vera)
    for day in range(2):
        made.refresh_from_db()
        Membership.objects.filter(user=people.vera).delete()
        assert made.next_run_at is not None
        with clock.shifted(made.next_run_at - clock.now() + timedelta(seconds=1)):
            tick()
            made.refresh_from_db()
            assert (made.paused, Notice.objects.count()) == (True, day + 1)
            Membership.objects.create(user=people.vera, team=made.team)
            scheduling.resume(made, actor="vera")
    notice = Notice.objects.earliest("pk")
    assert (notice.kind, notice.path) == (Kind.SCHEDULE_PAUSED, made.get_absolute_url())
    assert notice.text.startswith("Schedule nightly is paused, because its job was refused: ")
    assert "team called “vision”" in notice.text


def test_who_pauses_a_schedule_is_not_told_of_it(people: People, catalog: None) -> None:
    scheduling.pause(make_schedule(people.vera), actor="vera")
    assert told() == []

"""Schedules over the fake engine: one job for each due time, overlaps, missed runs, and owners who may no longer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from environments.models import Template
from jobs import actions, scheduling
from jobs.models import Job
from jobs.plan_models import Schedule
from jobs.states import J
from portal.accounts.models import Membership
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Invalid
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.plans import make_schedule
from tests.jobs.test_life import ends, now_running

pytestmark = pytest.mark.django_db
Scheduling = Callable[..., Schedule]
Tick = Callable[..., None]


@pytest.fixture
def schedule(people: People, catalog: None, fake_engine: FakeEngine) -> Scheduling:
    """Something that ends at once, each day at six."""
    ends(fake_engine, "quick", exit_code=0)

    def make(owner: Any = None, **values: Any) -> Schedule:
        return make_schedule(owner or people.vera, **values)

    return make


def at(moment: datetime) -> Any:
    return clock.shifted(moment - clock.now())


def due(row: Schedule) -> datetime:
    row.refresh_from_db()
    assert row.next_run_at is not None
    return row.next_run_at


def test_it_makes_one_job_when_it_is_due(schedule: Scheduling, tick: Tick) -> None:
    made = schedule()
    first = due(made)
    assert (first.hour, first.minute, first > clock.now()) == (6, 0, True)
    tick()
    assert not Job.objects.exists()
    with at(first + timedelta(seconds=1)):
        tick()
        tick()
        job = Job.objects.get()
    assert (job.schedule_id, job.due_at, job.state, job.name) == (made.pk, first, J.SUCCEEDED, "nightly")
    assert due(made) == first + timedelta(days=1)
    assert made.last_job_id == job.pk


def test_many_tickers_at_once_make_one_job_each(
    transactional_db: None, schedule: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        schedule(name=f"nightly {number}")
    first = due(Schedule.objects.first() or pytest.fail("none"))

    def ticker(_: int) -> None:
        try:
            for _round in range(3):
                scheduling.run_due()
        finally:
            connection.close()

    with at(first + timedelta(seconds=1)), ThreadPoolExecutor(6) as pool:
        list(pool.map(ticker, range(6)))
    assert Job.objects.count() == 3
    assert set(Job.objects.values_list("due_at", flat=True)) == {first}


def test_after_a_short_pause_of_the_ticks_each_due_time_has_its_job(schedule: Scheduling, tick: Tick) -> None:
    made = schedule(cron="* * * * *", overlap="queue")
    first = due(made)
    with at(first + timedelta(minutes=3, seconds=1)):
        tick(6)
    found = list(Job.objects.order_by("due_at").values_list("due_at", flat=True))
    assert found == [first + timedelta(minutes=n) for n in range(4)]


def test_missed_runs_are_left_out(schedule: Scheduling, tick: Tick) -> None:
    made = schedule(missed="skip")
    first = due(made)
    with at(first + timedelta(days=3, hours=1)):
        tick()
        assert not Job.objects.exists()
        assert due(made) == first + timedelta(days=4)
        assert "Berth was not there" in made.note
    with at(first + timedelta(days=4)):
        tick()
    assert Job.objects.get().due_at == first + timedelta(days=4)


def test_missed_runs_are_made_up_for_by_one(schedule: Scheduling, tick: Tick) -> None:
    made = schedule(missed="run_once")
    first = due(made)
    with at(first + timedelta(days=3, hours=1)):
        tick()
        tick()
    assert Job.objects.get().due_at == first + timedelta(days=3)
    assert due(made) == first + timedelta(days=4)


def test_skip_leaves_a_run_out_while_the_one_before_runs(schedule: Scheduling, tick: Tick) -> None:
    made = schedule(job={"command": ["slow"]}, overlap="skip")
    first = due(made)
    with at(first):
        tick()
    with at(first + timedelta(days=1)):
        tick()
    made.refresh_from_db()
    assert Job.objects.count() == 1
    assert made.note.endswith("06:00 UTC: nightly of the run before has not ended.")
    assert due(made) == first + timedelta(days=2)


def test_queue_runs_one_after_the_other(schedule: Scheduling, tick: Tick, fake_engine: FakeEngine) -> None:
    made = schedule(job={"command": ["slow"]}, overlap="queue")
    first = due(made)
    for day in range(3):
        with at(first + timedelta(days=day)):
            tick()
    jobs = list(Job.objects.order_by("due_at"))
    assert [job.state for job in jobs] == [J.RUNNING, J.QUEUED, J.QUEUED]
    assert jobs[2].message == "Waits for nightly to end"
    with at(first + timedelta(days=2)):
        fake_engine.end(now_running(jobs[0]), 1)
        tick()
    jobs[1].refresh_from_db()
    jobs[2].refresh_from_db()
    assert (jobs[1].state, jobs[2].state) == (J.RUNNING, J.QUEUED)


def test_a_queue_does_not_grow_for_ever(schedule: Scheduling, tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "MOST_WAITING", 2)
    made = schedule(job={"command": ["slow"]}, overlap="queue")
    first = due(made)
    for day in range(6):
        with at(first + timedelta(days=day)):
            tick(1)
    made.refresh_from_db()
    assert Job.objects.count() == 3
    assert "2 of its jobs wait already" in made.note


def test_replace_cancels_the_one_before_and_waits_for_its_end(
    schedule: Scheduling, tick: Tick, fake_engine: FakeEngine
) -> None:
    made = schedule(job={"command": ["slow"]}, overlap="replace")
    first = due(made)
    with at(first):
        tick()
    with at(first + timedelta(days=1)):
        tick(5)
    before, after = Job.objects.order_by("due_at")
    assert (before.state, before.cancelled_by, after.state) == (J.CANCELLED, "schedule", J.RUNNING)


@pytest.mark.parametrize("lost", ["team", "template", "account", "secret"])
def test_who_may_no_longer_has_a_paused_schedule_that_says_why(
    schedule: Scheduling, tick: Tick, people: People, lost: str
) -> None:
    from portal.accounts import secret_actions
    from portal.accounts.secret_actions import NewSecret

    secret = secret_actions.add(people.vera, NewSecret(name="HF_TOKEN", value="x"), actor="vera")
    made = schedule(job={"secrets": ["HF_TOKEN"]})
    first = due(made)
    if lost == "team":
        Membership.objects.filter(user=people.vera).delete()
    elif lost == "template":
        Template.objects.filter(slug="python").update(retired=True)
    elif lost == "account":
        type(people.vera).objects.filter(pk=people.vera.pk).update(is_active=False)
    else:
        secret_actions.delete(secret, actor="vera")
    with at(first):
        tick()
    made.refresh_from_db()
    said = {
        "team": "team called “vision”",
        "template": "no template “python”",
        "account": "no longer sign in",
        "secret": "no secret “HF_TOKEN”",
    }
    assert (made.paused, made.next_run_at, said[lost] in made.note) == (True, None, True), made.note
    assert not Job.objects.exists()
    assert AuditEvent.objects.filter(verb="schedule.pause", target=made.topic).count() == 1
    if lost in ("team", "template"):
        with pytest.raises(Invalid):
            scheduling.resume(made, actor="vera")


def test_a_fault_costs_one_run_and_no_other_schedule(
    schedule: Scheduling, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = schedule(name="broken"), schedule(name="sound")
    first = due(broken)
    submit = actions.submit

    def faulty(owner: Any, asked: Any, **how: Any) -> Job:
        if how["origin"].schedule.pk == broken.pk:
            raise RuntimeError("a bug")
        return submit(owner, asked, **how)

    monkeypatch.setattr(actions, "submit", faulty)
    with at(first):
        tick()
        tick()
        assert due(broken) == first + timedelta(days=1)
    assert "fault in Berth" in broken.note
    assert [job.schedule_id for job in Job.objects.all()] == [sound.pk]


def test_a_worker_whose_time_is_up_costs_no_run(
    schedule: Scheduling, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a machine slept in the middle of it."""
    made = schedule()
    first = due(made)

    def interrupted(*_: Any, **__: Any) -> Job:
        raise SoftTimeLimitExceeded

    with at(first):
        with monkeypatch.context() as patched, pytest.raises(SoftTimeLimitExceeded):
            patched.setattr(actions, "submit", interrupted)
            scheduling.run_due()
        assert due(made) == first
        tick()
    assert (made.note, Job.objects.get().schedule_id) == ("", made.pk)


def test_paused_it_makes_nothing_and_resumed_nothing_is_made_up_for(schedule: Scheduling, tick: Tick) -> None:
    made = schedule(missed="run_once")
    first = due(made)
    scheduling.pause(made, actor="vera")
    with at(first + timedelta(days=2, hours=1)):
        tick()
        made.refresh_from_db()
        scheduling.resume(made, actor="vera")
        tick()
        assert due(made) == first + timedelta(days=3)
    assert not Job.objects.exists()


def test_a_deleted_one_leaves_its_jobs(schedule: Scheduling, tick: Tick) -> None:
    made = schedule()
    with at(due(made)):
        tick()
    scheduling.delete(made, actor="vera")
    assert Job.objects.get().schedule is None
    assert not Schedule.objects.exists()


def test_the_zone_decides(schedule: Scheduling) -> None:
    made = schedule(time_zone="Asia/Kathmandu")
    assert (due(made).astimezone(UTC).hour, due(made).minute) == (0, 15)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"overlap": "perhaps"}, "overlap"),
        ({"missed": "perhaps"}, "missed"),
        ({"name": "x" * 61}, "name"),
        ({"job": {"template": "nothing"}}, "job.template"),
        ({"job": {"after": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}}, "job.after"),
    ],
)
def test_what_is_refused_names_its_field(schedule: Scheduling, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        schedule(**values)
    assert set(problem.value.fields) == {field}
    assert not Schedule.objects.exists()

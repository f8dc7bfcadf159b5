"""Schedules that follow a dataset: one job for each version that stays, overlaps, pauses, and lost rights."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from environments.models import Dataset
from jobs import actions, scheduling
from jobs.models import Job
from jobs.plan_models import Schedule
from jobs.states import J
from portal.audit.models import AuditEvent
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.notices.models import Notice
from runtimes.fake_engine import FakeEngine
from tests.conftest import People
from tests.jobs.data import changed, iris, looked
from tests.jobs.plans import make_schedule
from tests.jobs.test_life import ends, now_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standing_still")]
Follow = Callable[..., Schedule]
Tick = Callable[..., None]


@pytest.fixture
def follow(people: People, catalog: None, fake_engine: FakeEngine) -> Follow:
    """Something that ends at once, whenever iris, which has a version, changes."""
    ends(fake_engine, "quick", exit_code=0)
    iris()
    looked("one")

    def make(**values: Any) -> Schedule:
        return make_schedule(people.vera, **({"cron": "", "on_change": "iris", "name": "retrain"} | values))

    return make


def made() -> list[str]:
    return [str(job.due_version) for job in Job.objects.order_by("pk").select_related("due_version")]


def test_it_makes_one_job_for_each_version_that_stays(follow: Follow, tick: Tick) -> None:
    row = follow()
    assert (row.next_run_at, row.handled_version) == (None, 1)
    tick()
    assert made() == []
    looked("two", minutes=5)
    looked("two", minutes=14)
    tick()
    assert made() == []
    looked("two", minutes=15)
    tick()
    tick()
    assert made() == ["iris:2"]
    row.refresh_from_db()
    job = Job.objects.get()
    assert (job.schedule_id, job.due_at, job.state, row.last_job_id, row.note) == (
        row.pk,
        None,
        J.SUCCEEDED,
        job.pk,
        "",
    )
    looked("two", minutes=60)
    tick()
    changed("three", minutes=65)
    tick()
    assert made() == ["iris:2", "iris:3"]


def test_a_copy_that_takes_its_time_is_one_change(follow: Follow, tick: Tick) -> None:
    follow()
    for minutes in range(5, 60, 5):
        looked(f"{minutes} minutes of it", minutes=minutes)
        tick(1)
    looked("55 minutes of it", minutes=60)
    tick(1)
    assert made() == []
    looked("55 minutes of it", minutes=65)
    tick()
    assert made() == ["iris:12"]


@pytest.mark.parametrize(("still", "runs"), [(0, True), (29, True), (30, True), (31, False)])
def test_how_long_it_must_stay_can_be_set(follow: Follow, tick: Tick, still: int, runs: bool) -> None:
    follow(still_minutes=still)
    looked("two", minutes=5)
    looked("two", minutes=35)
    tick(1)
    assert bool(made()) is runs


def test_what_changed_while_berth_was_away_is_made_up_for_by_one(follow: Follow, tick: Tick) -> None:
    follow()
    for number in range(5):
        changed(f"change {number}", minutes=30 * number + 5)
    with clock.shifted(timedelta(days=30)):
        tick()
    assert made() == ["iris:6"]


def test_what_was_there_before_it_is_no_change(follow: Follow, tick: Tick) -> None:
    changed("two")
    follow()
    tick()
    assert made() == []


def test_a_dataset_that_gets_its_first_files_has_changed(people: People, follow: Follow, tick: Tick) -> None:
    Dataset.objects.create(name="rides", summary="s", teams=["*"])
    follow(on_change="rides")
    looked("first", minutes=5, name="rides")
    looked("first", minutes=15, name="rides")
    tick()
    assert made() == ["rides:1"]


def test_many_tickers_at_once_make_one_job_each(transactional_db: None, follow: Follow) -> None:
    for number in range(3):
        follow(name=f"retrain {number}")
    changed("two", minutes=5)

    def ticker(_: int) -> None:
        try:
            for _round in range(3):
                scheduling.run_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ticker, range(6)))
    assert made() == ["iris:2"] * 3
    assert Job.objects.values("schedule").distinct().count() == 3
    assert not Schedule.objects.exclude(note="").exists()


def test_the_database_keeps_one_job_for_each_version(follow: Follow, tick: Tick) -> None:
    row = follow()
    changed("two", minutes=5)
    tick()
    Schedule.objects.filter(pk=row.pk).update(handled_version=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        scheduling.run_change(row.pk)
    tick()
    row.refresh_from_db()
    assert made() == ["iris:2"]
    assert (row.handled_version, row.paused) == (2, False)


def test_times_and_changes_go_together(follow: Follow, tick: Tick) -> None:
    row = follow(cron="0 6 * * *")
    first = row.next_run_at
    assert first is not None
    changed("two", minutes=5)
    tick()
    assert made() == ["iris:2"]
    row.refresh_from_db()
    assert row.next_run_at == first
    with clock.shifted(first - clock.now()):
        tick()
    assert [(job.due_at, str(job.due_version)) for job in Job.objects.order_by("pk")] == [
        (None, "iris:2"),
        (first, "None"),
    ]


def test_skip_leaves_a_version_out_while_the_run_before_has_not_ended(follow: Follow, tick: Tick) -> None:
    row = follow(job={"command": ["slow"]}, overlap="skip")
    for number in (2, 3):
        changed(f"change {number}", minutes=30 * number)
        tick()
    row.refresh_from_db()
    assert made() == ["iris:2"]
    assert row.note == "It did not run for iris:3: nightly of the run before has not ended."
    assert row.handled_version == 3


def test_queue_and_replace(follow: Follow, tick: Tick, fake_engine: FakeEngine) -> None:
    follow(job={"command": ["slow"], "name": "queued"}, overlap="queue")
    follow(job={"command": ["slow"], "name": "replaced"}, overlap="replace")
    for number in (2, 3):
        changed(f"change {number}", minutes=30 * number)
        tick(5)
    queued, replaced = (list(Job.objects.filter(name=name).order_by("pk")) for name in ("queued", "replaced"))
    assert [job.state for job in queued] == [J.RUNNING, J.QUEUED]
    assert [job.state for job in replaced] == [J.CANCELLED, J.RUNNING]
    fake_engine.end(now_running(queued[0]), 0)
    tick()
    queued[1].refresh_from_db()
    assert queued[1].state == J.RUNNING


def test_who_may_no_longer_read_it_has_a_paused_schedule_that_says_why(follow: Follow, tick: Tick) -> None:
    row = follow()
    Dataset.objects.update(teams=["risk"])
    changed("two", minutes=5)
    tick()
    tick()
    row.refresh_from_db()
    assert (row.paused, row.next_run_at, made()) == (True, None, [])
    assert row.note == "Paused, because its job was refused: There is no dataset “iris” for your teams."
    assert AuditEvent.objects.filter(verb="schedule.pause", target=row.topic).count() == 1
    assert Notice.objects.filter(subject__startswith=row.topic).count() == 1
    with pytest.raises(Invalid) as problem:
        scheduling.resume(row, actor="vera")
    assert set(problem.value.fields) == {"on_change"}


def test_paused_it_makes_nothing_and_resumed_nothing_is_made_up_for(follow: Follow, tick: Tick) -> None:
    row = follow()
    scheduling.pause(row, actor="vera")
    changed("two", minutes=5)
    tick()
    row.refresh_from_db()
    scheduling.resume(row, actor="vera")
    tick()
    assert made() == []
    changed("three", minutes=30)
    tick()
    assert made() == ["iris:3"]


def test_a_change_that_is_waited_for_survives_another_name(follow: Follow, tick: Tick) -> None:
    row = follow()
    looked("two", minutes=5)
    scheduling.change(row, scheduling.asked_of(Schedule.objects.get(pk=row.pk)), actor="vera")
    looked("two", minutes=15)
    tick()
    assert made() == ["iris:2"]


def test_a_fault_costs_one_version_and_no_other_schedule(
    follow: Follow, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = follow(name="broken"), follow(name="sound")
    submit = actions.submit

    def faulty(owner: Any, asked: Any, **how: Any) -> Job:
        if how["origin"].schedule.pk == broken.pk:
            raise RuntimeError("a bug")
        return submit(owner, asked, **how)

    monkeypatch.setattr(actions, "submit", faulty)
    changed("two", minutes=5)
    tick()
    broken.refresh_from_db()
    assert "fault in Berth" in broken.note
    assert (broken.handled_version, broken.paused) == (2, False)
    assert [job.schedule_id for job in Job.objects.all()] == [sound.pk]


def test_a_tick_costs_as_many_queries_for_many_that_wait(follow: Follow, django_assert_num_queries: Any) -> None:
    follow()
    looked("two", minutes=5)
    with django_assert_num_queries(2):
        scheduling.run_due()
    for number in range(5):
        follow(name=f"other {number}")
    with django_assert_num_queries(2):
        scheduling.run_due()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"on_change": "nothing"}, "on_change"),
        ({"on_change": "secret"}, "on_change"),
        ({"on_change": None}, "cron"),
        ({"on_change": None, "cron": "  "}, "cron"),
        ({"cron": "nonsense"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"still_minutes": -1}, "still_minutes"),
        ({"still_minutes": 1441}, "still_minutes"),
    ],
)
def test_what_is_refused_names_its_field(follow: Follow, values: dict[str, Any], field: str) -> None:
    Dataset.objects.create(name="secret", summary="s", teams=["risk"])
    with pytest.raises(Invalid) as problem:
        follow(**values)
    assert set(problem.value.fields) == {field}
    assert not Schedule.objects.exists()

"""While Berth is under maintenance nothing new starts, what runs goes on, and all goes on by itself at the end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments import actions as workspaces
from environments import scheduling
from environments.schedules import DAYS, Plan
from jobs import actions as jobs
from portal.announcements import actions
from portal.announcements.access import maintenance_until
from portal.announcements.actions import Wording
from portal.announcements.models import Announcement
from portal.compute import admission, queue
from portal.compute.models import Allocation, Size
from portal.compute.states import Phase
from portal.lib import clock, words
from tests.conftest import People
from tests.jobs.test_life import now_running

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def maintenance(hours: float = 2) -> Announcement:
    wanted = Wording("New disks.", maintenance=True, ends_at=clock.now() + timedelta(hours=hours))
    return actions.announce(wanted, actor="ada")


def phase(owner: Any) -> str:
    return Allocation.objects.filter(owner_id=owner.pk).latest("created_at").phase


def test_what_is_launched_waits_and_says_until_when(
    make_workspace: Make,
    people: People,
    signed_in: Callable[[Any], Client],
    caller: Make,
) -> None:
    window = maintenance()
    made = make_workspace()
    assert admission.admit() == []
    assert window.ends_at is not None
    why = f"Berth is under maintenance until {words.point(window.ends_at, clock.now())}; it starts by itself then."
    waiting = Allocation.objects.get(pk=made.allocation_id)
    queue.explain([waiting])
    assert waiting.message == f"{why} Number 1 in line."
    assert caller(people.vera).get(f"/workspaces/{made.pk}/").json()["reason"]["message"] == waiting.message
    found = admission.availability(list(Size.objects.filter(slug="small")), people.vera)["small"]
    assert (found.state, found.reason) == ("queue", why)
    page = signed_in(people.vera).get(f"/workspaces/{made.pk}/").content.decode()
    assert why in page and "Maintenance</span>" in page and "what runs goes on" in page


def test_it_starts_by_itself_at_the_end(make_workspace: Make, settle: Make) -> None:
    maintenance()
    made = make_workspace()
    settle()
    assert phase(made) == Phase.PENDING
    with clock.shifted(timedelta(hours=2, seconds=1)):
        settle()
        assert phase(made) == Phase.RUNNING


def test_or_when_it_is_ended_before(make_workspace: Make, settle: Make) -> None:
    window = maintenance()
    made = make_workspace()
    actions.end(window, actor="ada")
    settle()
    assert phase(made) == Phase.RUNNING


def test_one_that_begins_later_holds_up_nothing_yet(make_workspace: Make, settle: Make) -> None:
    start = clock.now() + timedelta(hours=1)
    later = Wording("Later.", maintenance=True, starts_at=start, ends_at=start + timedelta(hours=1))
    actions.announce(later, actor="ada")
    made = make_workspace()
    settle()
    assert phase(made) == Phase.RUNNING
    with clock.shifted(timedelta(minutes=61)):
        assert maintenance_until() is not None


def test_what_runs_goes_on_and_stop_and_cancel_work(make_workspace: Make, settle: Make, people: People) -> None:
    running = make_workspace()
    settle()
    maintenance()
    waiting = make_workspace()
    settle()
    assert (phase(running), phase(waiting)) == (Phase.RUNNING, Phase.PENDING)
    workspaces.restart(running, actor="vera")
    settle()
    assert phase(running) == Phase.RUNNING
    for one in (running, waiting):
        workspaces.stop(one, actor="vera")
    settle()
    assert {phase(running), phase(waiting)} == {Phase.ENDED}


def test_jobs_and_their_next_attempts_wait_too(submit: Make, tick: Make, fake_engine: Any) -> None:
    before = submit(retries=1, retry_delay_seconds=0)
    tick()
    maintenance()
    after = submit()
    fake_engine.end(now_running(before), 1)
    tick()
    assert (phase(before), phase(after)) == (Phase.PENDING, Phase.PENDING)
    assert before.attempts.count() == 2
    jobs.cancel(after, actor="vera")
    with clock.shifted(timedelta(hours=3)):
        tick()
        assert (phase(before), phase(after)) == (Phase.RUNNING, Phase.ENDED)


def test_what_a_schedule_starts_waits_too(make_workspace: Make, settle: Make) -> None:
    made = make_workspace()
    workspaces.stop(made, actor="vera")
    settle()
    start = (clock.now() + timedelta(minutes=5)).time().replace(second=0, microsecond=0)
    scheduling.set_schedule(made, Plan(DAYS, start, None, "UTC"), actor="vera")
    with clock.shifted(timedelta(minutes=6)):
        maintenance()
        scheduling.run_due()
        settle()
        assert phase(made) == Phase.PENDING
    with clock.shifted(timedelta(hours=3)):
        settle()
        assert phase(made) == Phase.RUNNING

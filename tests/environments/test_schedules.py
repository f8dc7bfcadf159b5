"""Starting and stopping by the week: which moments, over missed ticks and changing clocks, and what is done then."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from environments import actions, scheduling
from environments.models import Schedule
from environments.schedules import DAYS, Event, Plan, due, upcoming
from environments.states import W, state_of
from portal.accounts.models import Membership
from portal.compute.models import Allocation
from portal.lib import clock
from portal.lib.errors import Invalid
from tests.conftest import People

WEEKDAYS = DAYS[:5]
OFFICE = Plan(WEEKDAYS, time(8), time(18, 30), "Europe/Berlin")
Settle = Callable[..., None]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("plan", "after", "expected"),
    [
        (OFFICE, "2026-11-20T12:00", ["2026-11-20T17:30 stop", "2026-11-23T07:00 start"]),
        (OFFICE, "2026-11-20T17:30", ["2026-11-23T07:00 start", "2026-11-23T17:30 stop"]),
        (OFFICE, "2026-03-27T18:00", ["2026-03-30T06:00 start", "2026-03-30T16:30 stop"]),
        (Plan(("sun",), time(2, 30), None, "Europe/Berlin"), "2026-03-28T12:00", ["2026-03-29T01:30 start"]),
        (Plan(("sun",), time(2, 30), None, "Europe/Berlin"), "2026-10-24T12:00", ["2026-10-25T00:30 start"]),
        (
            Plan(("fri",), time(20), time(6), "UTC"),
            "2026-11-20T21:00",
            ["2026-11-21T06:00 stop", "2026-11-27T20:00 start"],
        ),
        (Plan(DAYS, None, time(23), "Asia/Kolkata"), "2026-11-20T12:00", ["2026-11-20T17:30 stop"]),
    ],
)
def test_the_next_ones(plan: Plan, after: str, expected: list[str]) -> None:
    found = [f"{event.at:%Y-%m-%dT%H:%M} {event.what}" for event in upcoming(plan, utc(after), len(expected))]
    assert found == expected


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        ("2026-11-20T06:59", "2026-11-20T07:00", Event(utc("2026-11-20T07:00"), "start")),
        ("2026-11-20T07:00", "2026-11-20T07:01", None),
        ("2026-11-18T00:00", "2026-11-20T08:00", Event(utc("2026-11-20T07:00"), "start")),
        ("2026-11-18T00:00", "2026-11-20T23:00", Event(utc("2026-11-20T17:30"), "stop")),
        ("2026-11-18T00:00", "2026-11-20T09:30", None),
        ("2020-01-01T00:00", "2026-11-21T12:00", Event(utc("2026-11-20T17:30"), "stop")),
    ],
)
def test_missed_ticks_are_made_up_for_once(since: str, now: str, expected: Event | None) -> None:
    assert due(OFFICE, utc(since), utc(now)) == expected


def test_a_time_that_comes_twice_is_due_once() -> None:
    plan = Plan(("sun",), time(2, 30), None, "Europe/Berlin")
    assert due(plan, utc("2026-10-25T00:29"), utc("2026-10-25T00:31")) is not None
    assert due(plan, utc("2026-10-25T00:31"), utc("2026-10-25T01:31")) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (([], time(8), None, "UTC"), "days"),
        ((["xyz"], time(8), None, "UTC"), "days"),
        ((["mon"], None, None, "UTC"), "start"),
        ((["mon"], time(8), time(8), "UTC"), "stop"),
        ((["mon"], time(8), None, "Berlin/../../etc"), "time_zone"),
    ],
)
def test_what_makes_no_sense_is_named(values: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        scheduling.checked(*values)
    assert list(refused.value.fields) == [field]


@pytest.fixture
def workspace(make_workspace: Callable[..., Any], settle: Settle) -> Any:
    """Stopped, and to be started in an hour, stopped in two."""
    made = make_workspace(name="churn")
    settle()
    actions.stop(made, actor="vera")
    settle()
    now = clock.now()
    start, stop = ((now + timedelta(hours=hours)).time().replace(second=0, microsecond=0) for hours in (1, 2))
    scheduling.set_schedule(made, Plan(DAYS, start, stop, "UTC"), actor="vera")
    return made


def state(workspace: Any) -> W:
    workspace.refresh_from_db()
    return state_of(Allocation.objects.get(pk=workspace.allocation_id), deleted=False)


def at(minutes: int, settle: Settle) -> None:
    with clock.shifted(timedelta(minutes=minutes)):
        scheduling.run_due()
        scheduling.run_due()
        settle()


@pytest.mark.django_db
def test_it_starts_and_stops_once(workspace: Any, settle: Settle) -> None:
    at(30, settle)
    assert state(workspace) == W.STOPPED
    at(62, settle)
    assert state(workspace) == W.RUNNING
    actions.stop(workspace, actor="vera")
    settle()
    at(70, settle)
    assert state(workspace) == W.STOPPED
    with clock.shifted(timedelta(minutes=71)):
        actions.start(workspace, actor="vera")
        settle()
    at(122, settle)
    assert state(workspace) == W.STOPPED
    assert Schedule.objects.get().note == ""


@pytest.mark.django_db
def test_who_keeps_it_running_is_not_stopped(workspace: Any, settle: Settle) -> None:
    at(62, settle)
    with clock.shifted(timedelta(minutes=63)):
        actions.extend(workspace, clock.now() + timedelta(minutes=90), actor="vera")
    at(122, settle)
    assert state(workspace) == W.RUNNING
    at(154, settle)
    assert state(workspace) == W.STOPPED


@pytest.mark.django_db
def test_a_refused_start_is_noted_on_the_page(
    workspace: Any, settle: Settle, signed_in: Callable[[Any], Client], people: People
) -> None:
    Membership.objects.filter(user=people.vera).delete()
    at(62, settle)
    assert state(workspace) == W.STOPPED
    page = signed_in(people.vera).get(f"/workspaces/{workspace.pk}/").content.decode()
    assert "It did not start at" in page
    assert "Vera Rosén is no longer in Vision." in page


@pytest.mark.django_db
def test_a_deleted_one_is_left_alone(workspace: Any, settle: Settle) -> None:
    actions.delete(workspace, delete_files=False, actor="vera")
    at(62, settle)
    assert Schedule.objects.get().next_at is None


@pytest.mark.django_db
def test_by_form(workspace: Any, signed_in: Callable[[Any], Client], people: People) -> None:
    path, client = f"/workspaces/{workspace.pk}/schedule/", signed_in(people.vera)
    good = {"days": ["mon", "fri"], "start": "08:00", "stop": "18:00", "time_zone": "Europe/Berlin"}
    assert client.post(path, good).status_code == 302
    page = client.get(f"/workspaces/{workspace.pk}/").content.decode()
    assert "Starts Mon" in page or "Starts Fri" in page
    mistakes: tuple[dict[str, Any], ...] = (
        {"days": []},
        {"start": "", "stop": ""},
        {"time_zone": "Mars"},
        {"start": "25:00"},
    )
    for bad in mistakes:
        answer = client.post(path, good | bad)
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()
    assert client.post(path, {"clear": "yes"}).status_code == 302
    assert not Schedule.objects.exists()
    for user, status in {people.luis: 403, people.oda: 404}.items():
        assert signed_in(user).post(path, good).status_code == status


@pytest.mark.django_db
def test_by_the_api(workspace: Any, people: People) -> None:
    from tests.environments.test_idle_pages import in_api

    path = f"/workspaces/{workspace.pk}/schedule/"
    good = {"days": ["mon"], "start": "08:00", "time_zone": "UTC"}
    found = in_api(people.vera, "put", path, good).json()
    assert (found["days"], found["start"], found["stop"]) == (["mon"], "08:00", None)
    assert [event["what"] for event in found["next"]] == ["start"] or len(found["next"]) == 2
    assert in_api(people.luis, "get", path).status_code == 200
    assert in_api(people.luis, "put", path, good).status_code == 403
    assert in_api(people.oda, "get", path).status_code == 404
    for field, bad in {"days": ["x"], "start": "8", "time_zone": "Mars"}.items():
        answer = in_api(people.vera, "put", path, good | {field: bad})
        assert answer.status_code == 422
        assert next(iter(answer.json()["errors"])).split(".")[0] == field
    assert in_api(people.vera, "delete", path).status_code == 204
    assert in_api(people.vera, "get", path).status_code == 404

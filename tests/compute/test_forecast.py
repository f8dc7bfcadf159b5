"""When what waits will probably begin: from how long others held their place, as far as anybody can know."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.accounts.actions import hold_back
from portal.compute import admission, devices, forecast, queue
from portal.compute.models import Allocation, Node, Size
from portal.compute.states import Phase
from portal.lib import clock, ids
from portal.quotas.models import GpuClass
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def two_cores(catalog: None) -> Node:
    Node.objects.update(schedulable_cpu=Decimal(2), cpu=Decimal(2))
    return Node.objects.get()


@pytest.fixture
def history(people: People, catalog: None) -> Callable[..., None]:
    """Workspaces that held their place for so many minutes each, and ended."""

    def made(*minutes: int, size: str = "small") -> None:
        team = people.vera.memberships.get().team
        began = clock.now() - timedelta(days=1)
        for took in minutes:
            Allocation.objects.create(
                owner_kind="workspace",
                owner_id=ids.new_id(),
                user=people.vera,
                team=team,
                size=Size.objects.get(slug=size),
                cpu=1,
                memory=1,
                spec={},
                phase=Phase.ENDED,
                next_look_at=None,
                created_at=began,
                started_at=began,
                ended_at=began + took * MINUTE,
            )

    return made


def running(made: Any, minutes: float) -> None:
    began = clock.now() - minutes * MINUTE
    Allocation.objects.filter(pk=made.allocation_id).update(
        phase=Phase.RUNNING, created_at=began, started_at=began, phase_at=began
    )


def start_of(made: Any) -> tuple[int, int | None]:
    """In whole minutes from now."""
    start, now = forecast.work_out()[made.allocation_id], clock.now()
    return round((start.likely - now) / MINUTE), round((start.late - now) / MINUTE) if start.late else None


def test_it_begins_when_the_first_usually_ends_and_the_next_when_the_second_does(
    two_cores: Node, history: Callable[..., None], make_workspace: Make
) -> None:
    history(10, 20, 30, 40, 50)  # half took at most 30, nine of ten at most 46
    first, second = make_workspace(), make_workspace()
    admission.admit()
    running(first, 25)
    running(second, 10)
    next_one, after, last = make_workspace(), make_workspace(), make_workspace()
    assert start_of(next_one) == (5, 21)
    assert start_of(after) == (20, 36)
    assert start_of(last) == (5 + 30, 21 + 46)


def test_what_has_taken_longer_than_usual_is_taken_to_take_as_long_again(
    two_cores: Node, history: Callable[..., None], make_workspace: Make
) -> None:
    history(10, 10, 10, 10, 10)
    held = [make_workspace(), make_workspace()]
    admission.admit()
    for one in held:
        running(one, 45)
    assert start_of(make_workspace()) == (45, 45)


def test_nothing_is_said_where_nobody_can_know(
    two_cores: Node, history: Callable[..., None], make_workspace: Make
) -> None:
    history(10, 10, 10, 10)
    for _ in range(2):
        make_workspace()
    admission.admit()
    waiting = make_workspace()
    assert waiting.allocation_id not in forecast.work_out()
    forecast.tick()
    row = Allocation.objects.get(pk=waiting.allocation_id)
    assert queue.explain([row]) == {row.pk: queue.Place(1, None)}
    assert "Probably" not in row.message


def test_what_waits_and_who_would_come_are_told(
    two_cores: Node, history: Callable[..., None], make_workspace: Make, people: People
) -> None:
    history(10, 20, 30, 40, 50)
    held = [make_workspace(), make_workspace()]
    admission.admit()
    for one in held:
        running(one, 25)
    waiting = Allocation.objects.get(pk=make_workspace().allocation_id)
    forecast.tick()
    [place] = queue.explain([waiting]).values()
    assert place.position == 1
    assert place.eta_seconds == pytest.approx(5 * 60, abs=5)
    assert waiting.message.endswith("Number 1 in line. Probably starts in 4 min, or in 20 min if others take long.")
    small = list(Size.objects.filter(slug="small"))
    reason = admission.availability(small, people.luis)["small"].reason
    assert reason == "Waits for room, first in line. Probably starts in 4 min, or in 20 min if others take long."
    with clock.shifted(5 * MINUTE):
        queue.explain([waiting])
    assert waiting.message.endswith("Probably starts within a minute.")
    hold_back(waiting.team, "The budget is spent.", actor="test")
    assert queue.explain([waiting]) == {waiting.pk: queue.Place(1, None)}
    assert waiting.message == "The budget is spent. Number 1 in line."


def test_devices_come_back_with_what_holds_them(
    history: Callable[..., None], make_workspace: Make, catalog: None
) -> None:
    GpuClass.objects.update(each_person=None, each_team=None)
    devices.note(Node.objects.get(), devices.declared({"a100": 2}))
    history(60, 60, 60, 60, 60, size="gpu-1")
    held = [make_workspace(size="gpu-1"), make_workspace(size="gpu-1")]
    admission.admit()
    running(held[0], 10)
    running(held[1], 20)
    both, small = make_workspace(size="gpu-2"), make_workspace(size="small")
    assert start_of(both)[0] == 50
    assert start_of(small)[0] == 0


def test_those_who_would_sit_before_it_come_before_jobs(
    two_cores: Node, history: Callable[..., None], make_workspace: Make
) -> None:
    history(30, 30, 30, 30, 30)
    for _ in range(2):
        make_workspace()
    admission.admit()
    for row in Allocation.objects.filter(phase=Phase.ADMITTED):
        Allocation.objects.filter(pk=row.pk).update(phase=Phase.RUNNING, started_at=clock.now() - 10 * MINUTE)
    for _ in range(4):
        batch = Allocation.objects.get(pk=make_workspace().allocation_id)
        Allocation.objects.filter(pk=batch.pk).update(line_at=batch.created_at)
    known, now = forecast.work_out(), clock.now()
    assert round((known["workspace", "small"].likely - now) / MINUTE) == 20
    assert round((known["job", "small"].likely - now) / MINUTE) == 20 + 2 * 30


def test_one_of_all_tickers_works_it_out(django_assert_num_queries: Any, catalog: None) -> None:
    forecast.tick()
    with django_assert_num_queries(0):
        forecast.tick()


def test_without_redis_there_is_no_estimate_and_nothing_fails(
    two_cores: Node, make_workspace: Make, settings: Any
) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    forecast.tick()
    row = Allocation.objects.get(pk=make_workspace().allocation_id)
    assert queue.explain([row]) == {row.pk: queue.Place(1, None)}

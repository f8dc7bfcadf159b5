"""Limits besides those on GPUs: what would go beyond waits with its reason, and starts when there is room again."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from portal.accounts.models import User
from portal.compute import admission, devices, limits, queue
from portal.compute.models import Allocation, GpuHold, Node, Size
from portal.compute.placement import Need
from portal.compute.states import Phase, Rank
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.quotas.models import GpuClass, ResourceLimit
from tests.api.conftest import Caller
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture
def limit(catalog: None) -> Callable[..., None]:
    ResourceLimit.objects.all().delete()

    def made(resource: str, person: float | None = None, team: float | None = None) -> None:
        ResourceLimit.objects.create(resource=resource, each_person=person, each_team=team)

    return made


def why(made: Any) -> str:
    row = Allocation.objects.get(pk=made.allocation_id)
    queue.explain([row])
    return row.message


def end(made: Any) -> None:
    Allocation.objects.filter(pk=made.allocation_id).update(phase=Phase.ENDED, ended_at=clock.now())


@pytest.mark.parametrize(
    ("resource", "most", "told"),
    [
        ("workspaces", 2, "Its owner uses 2 of 2 workspaces."),
        ("cpu", 2, "Its owner uses 2 of 2 cores."),
        ("memory_gib", 5, "Its owner uses 4 of 5 GB of memory."),
    ],
)
def test_what_goes_beyond_a_persons_limit_waits_until_something_ends(
    limit: Callable[..., None], make_workspace: Make, bo: User, resource: str, most: int, told: str
) -> None:
    limit(resource, person=most)
    first, second, third = make_workspace(), make_workspace(), make_workspace()
    assert admission.admit() == [first.allocation_id, second.allocation_id]
    assert why(third) == f"{told} Number 1 in line."
    others = make_workspace(bo)
    assert admission.admit() == [others.allocation_id]
    end(first)
    assert admission.admit() == [third.allocation_id]


def test_a_team_has_a_limit_of_its_own(
    limit: Callable[..., None], make_workspace: Make, people: People, bo: User
) -> None:
    limit("cpu", team=2)
    held = [make_workspace(), make_workspace(bo)]
    assert set(admission.admit()) == {one.allocation_id for one in held}
    waiting, stranger = make_workspace(people.luis), make_workspace(people.oda)
    assert admission.admit() == [stranger.allocation_id]
    assert why(waiting).startswith("Its team uses 2 of 2 cores.")


def test_a_smaller_one_passes_one_that_a_limit_keeps(limit: Callable[..., None], make_workspace: Make) -> None:
    limit("cpu", person=3)
    first, large, small = make_workspace(size="medium"), make_workspace(size="medium"), make_workspace()
    assert admission.admit() == [first.allocation_id, small.allocation_id]
    assert why(large).startswith("Its owner uses 3 of 3 cores.")


def test_jobs_and_workspaces_are_counted_apart(limit: Callable[..., None], make_workspace: Make) -> None:
    limit("jobs", person=1)
    made = [make_workspace(), make_workspace(), make_workspace()]
    Allocation.objects.filter(pk__in=[one.allocation_id for one in made[1:]]).update(owner_kind="job")
    assert admission.admit() == [made[0].allocation_id, made[1].allocation_id]


def test_what_is_too_large_for_a_limit_is_refused_before_anything_starts(
    limit: Callable[..., None], make_workspace: Make, people: People
) -> None:
    limit("cpu", person=1)
    with pytest.raises(Invalid) as refused:
        make_workspace(size="medium")
    assert refused.value.fields == {"size": ["Size medium never fits: one person may hold 1 cores at most."]}
    told = admission.availability(list(Size.objects.filter(slug__in=["small", "medium"])), people.vera)
    assert told["small"].state == "now"
    assert told["medium"] == admission.Availability("never", "Never: one person may hold 1 cores at most")


def test_the_form_says_before_the_click_that_it_will_wait(
    limit: Callable[..., None], make_workspace: Make, people: People
) -> None:
    limit("workspaces", person=1)
    make_workspace()
    admission.admit()
    small = list(Size.objects.filter(slug="small"))
    waits = admission.Availability("queue", "You use 1 of 1 workspaces.")
    assert admission.availability(small, people.vera)["small"] == waits
    assert admission.availability(small, people.vera, rank=Rank.NORMAL)["small"].state == "now"


def test_gpu_hours_of_the_month_are_used_up_and_come_back_with_the_next(
    limit: Callable[..., None], make_workspace: Make, people: People
) -> None:
    GpuClass.objects.update(each_person=None, each_team=None)
    devices.note(Node.objects.get(), devices.declared({"a100": 2}))
    limit("gpu_hours", team=10)
    made = make_workspace(size="gpu-2")
    assert admission.admit() == [made.allocation_id]
    begin = clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    GpuHold.objects.update(since=begin - timedelta(days=3), until=begin + timedelta(hours=6))
    end(made)
    with clock.shifted(begin + timedelta(days=2) - clock.now()):
        assert limits.Limits().of("team", made.team_id, "gpu_hours").used == 12
        next_one, plain = make_workspace(size="gpu-1"), make_workspace()
        assert admission.admit() == [plain.allocation_id]
        assert "uses 12 of 10 GPU hours of this month." in why(next_one)
    with clock.shifted(begin + timedelta(days=33) - clock.now()):
        assert admission.admit() == [next_one.allocation_id]


def test_what_something_takes_is_told_by_resource() -> None:
    need = Need(Decimal("1.5"), 2**31, "a100", 2)
    assert limits.amounts("job", need) == {
        "cpu": Decimal("1.5"),
        "memory_gib": 2,
        "jobs": 1,
        "gpu:a100": 2,
        "gpu_hours": 0,
    }


def test_the_page_and_the_api_show_each_limit_with_what_is_held_and_waits(
    limit: Callable[..., None],
    make_workspace: Make,
    people: People,
    signed_in: Callable[[Any], Any],
    caller: Callable[..., Caller],
) -> None:
    limit("workspaces", person=1, team=5)
    make_workspace()
    make_workspace()
    admission.admit()
    page = signed_in(people.vera).get("/quota/").content.decode()
    assert "Workspaces (workspaces)" in page
    assert "You: 1 of 1" in page
    assert "Team Vision: 1 of 5" in page
    rows = caller(people.vera).get("/quotas/").json()["results"]
    rest = {"borrowed": 0, "lent": 0, "queued": 1, "until": None}
    mine = [row for row in rows if row["resource"] == "workspaces"]
    assert mine == [
        {"scope": "me", "resource": "workspaces", "limit": 1, "used": 1} | rest,
        {"scope": "team:vision", "resource": "workspaces", "limit": 5, "used": 1} | rest,
    ]


def test_a_limit_is_not_negative(limit: Callable[..., None]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        limit("cpu", person=-1)

"""Admission: capacity, the order of the line, and the truth about the wait."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.compute import admission, line, queue
from portal.compute.actions import reserve
from portal.compute.models import GIB, Allocation, Node, Size
from portal.compute.states import Phase, Rank
from portal.invariants import violations
from portal.lib import clock, ids
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def test_the_node_is_never_overfilled_and_the_rest_waits_in_order(make_workspace: Make) -> None:
    Node.objects.update(schedulable_cpu=Decimal(3))
    made = [make_workspace().allocation_id for _ in range(5)]
    assert admission.admit() == made[:3]
    assert violations() == []
    waiting = list(Allocation.objects.filter(phase=Phase.PENDING).order_by("created_at"))
    assert [row.pk for row in waiting] == made[3:]
    queue.explain(waiting)
    assert "Number 1 in line" in waiting[0].message
    assert "0 cores" in waiting[0].message
    assert "Number 2 in line" in waiting[1].message


def test_a_small_one_passes_a_large_one_until_that_has_waited_too_long(people: People, make_workspace: Make) -> None:
    Node.objects.update(schedulable_cpu=Decimal(4), cpu=Decimal(4))
    first = make_workspace(size="medium")
    assert admission.admit() == [first.allocation_id]
    large = make_workspace(size="large").allocation_id
    passing = make_workspace(size="small").allocation_id
    assert admission.admit() == [passing]
    late = make_workspace(size="small").allocation_id
    with clock.shifted(admission.HOLD_AFTER):
        assert admission.availability(list(Size.objects.filter(slug="small")), people.vera)["small"].state == "queue"
        assert admission.admit() == []
    for pk in (first.allocation_id, passing):
        Allocation.objects.filter(pk=pk).update(phase=Phase.ENDED, ended_at=first.created_at)
    assert admission.admit() == [large]
    assert line.spots([late]) == {late: line.Spot(1, "")}


def test_room_is_held_only_where_it_could_be_enough(make_workspace: Make) -> None:
    """A node on which the large one never fits is free to the small ones."""
    Node.objects.update(schedulable_cpu=Decimal(4), cpu=Decimal(4))
    make_workspace(size="medium")
    admission.admit()
    little = {"cpu": 1, "schedulable_cpu": 1, "memory": 4 * GIB, "schedulable_memory": 4 * GIB}
    Node.objects.create(name="little", runtime="fake", **little)
    make_workspace(size="large")
    with clock.shifted(admission.HOLD_AFTER):
        small = make_workspace(size="small")
        assert admission.admit() == [small.allocation_id]
    assert Allocation.objects.get(pk=small.allocation_id).node.name == "little"  # type: ignore[union-attr]


def test_what_never_fits_is_refused_with_what_would(make_workspace: Make) -> None:
    Node.objects.update(cpu=Decimal(2), schedulable_memory=8 * GIB)
    with pytest.raises(Invalid) as refused:
        make_workspace(size="large")
    assert refused.value.fields == {"size": ["Size large never fits: the largest node has 2 cores and 8 GB."]}
    assert not Allocation.objects.exists()


def test_availability_says_now_queue_or_never(people: People, make_workspace: Make) -> None:
    Node.objects.update(cpu=Decimal(2), schedulable_cpu=Decimal(2))
    make_workspace()
    admission.admit()
    sizes = list(Size.objects.all())
    assert {slug: answer.state for slug, answer in admission.availability(sizes, people.vera).items()} == {
        "small": "now",
        "medium": "queue",
        "large": "never",
        "gpu-1": "never",
        "gpu-2": "never",
    }


def test_a_node_that_does_not_answer_takes_nothing(make_workspace: Make) -> None:
    make_workspace()
    Node.objects.update(unreachable_since=clock.now())
    assert admission.admit() == []
    waiting = Allocation.objects.get()
    queue.explain([waiting])
    assert waiting.message == "The container engine does not answer. Number 1 in line."


def wait(people: People, number: int = 1, rank: Rank = Rank.NORMAL) -> list[str]:
    """So many more stand in line, with nothing behind them; their ids."""
    return [
        reserve(
            owner_kind="workspace",
            owner_id=ids.new_id(),
            user=people.vera,
            team=people.vera.memberships.get().team,
            size=Size.objects.get(slug="small"),
            spec={},
            actor="test",
            rank=rank,
        ).pk
        for _ in range(number)
    ]


def test_the_higher_rank_goes_first_and_within_one_the_older(people: People, catalog: None) -> None:
    low, normal, high, interactive = (wait(people, 2, rank) for rank in Rank)
    order = [*interactive, *high, *normal, *low]
    assert list(line.spots(order)) == order
    Node.objects.update(schedulable_cpu=Decimal(3))
    assert admission.admit() == order[:3]


def test_nothing_is_passed_for_ever(people: People, catalog: None) -> None:
    (low,) = wait(people, rank=Rank.LOW)
    Node.objects.update(schedulable_cpu=Decimal(1))
    for hours in range(30):
        with clock.shifted(timedelta(hours=hours)):
            wait(people, 2, Rank.NORMAL)
            wait(people, 1, Rank.HIGH)
            (placed,) = admission.admit()
            Allocation.objects.filter(pk=placed).update(phase=Phase.ENDED, ended_at=clock.now())
        if placed == low:
            return
    pytest.fail("It still waits after 30 places were given.")


def test_the_last_of_a_long_line_knows_its_place_and_nothing_is_written_for_it(
    people: People, catalog: None, django_assert_num_queries: Any
) -> None:
    Node.objects.update(schedulable_cpu=Decimal(1))
    first, *_, last = wait(people, admission.BATCH + 5)
    assert admission.admit() == [first]
    with CaptureQueriesContext(connection) as asked:
        assert admission.admit() == []
    assert not [query["sql"] for query in asked if query["sql"].startswith("UPDATE")]
    waiting = Allocation.objects.get(pk=last)
    with django_assert_num_queries(5):
        assert queue.explain([waiting]) == {last: queue.Place(admission.BATCH + 4)}
    assert waiting.message == "Needs 1 core and 2 GB; 0 cores and 254.0 GB are free. Number 204 in line."


def test_a_workspace_is_told_of_those_before_it_alone(people: People, catalog: None) -> None:
    Node.objects.update(schedulable_cpu=Decimal(1))
    wait(people, 3, Rank.HIGH)
    small = list(Size.objects.filter(slug="small"))
    assert admission.availability(small, people.vera)["small"].state == "now"
    assert (
        admission.availability(small, people.vera, rank=Rank.LOW)["small"].reason
        == "Waits for room; 3 in line before it."
    )

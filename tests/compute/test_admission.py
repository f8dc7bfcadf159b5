"""Admission: capacity, first come first served, and the truth about the wait."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from environments import actions
from portal.compute import admission
from portal.compute.models import GIB, Allocation, Node, Size
from portal.compute.states import Phase
from portal.invariants import violations
from portal.lib.errors import Invalid

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def test_the_node_is_never_overfilled_and_the_rest_waits_in_order(make_workspace: Make) -> None:
    Node.objects.update(schedulable_cpu=Decimal(3))
    made = [make_workspace().allocation_id for _ in range(5)]
    assert admission.admit() == made[:3]
    assert violations() == []
    waiting = list(Allocation.objects.filter(phase=Phase.PENDING).order_by("created_at"))
    assert [row.pk for row in waiting] == made[3:]
    assert "Number 1 in line" in waiting[0].message
    assert "0 cores" in waiting[0].message
    assert "Number 2 in line" in waiting[1].message


def test_a_large_one_at_the_head_is_not_passed(make_workspace: Make) -> None:
    Node.objects.update(schedulable_cpu=Decimal(3), cpu=Decimal(4))
    first = make_workspace(size="medium")
    admission.admit()
    make_workspace(size="medium")
    make_workspace(size="small")
    assert admission.admit() == []
    actions.stop(first, actor="vera")
    Allocation.objects.filter(pk=first.allocation_id).update(phase=Phase.ENDED, ended_at=first.created_at)
    assert len(admission.admit()) == 2


def test_what_never_fits_is_refused_with_what_would(make_workspace: Make) -> None:
    Node.objects.update(cpu=Decimal(2), schedulable_memory=8 * GIB)
    with pytest.raises(Invalid) as refused:
        make_workspace(size="large")
    assert refused.value.fields == {"size": ["Size large never fits: the largest node has 2 cores and 8 GB."]}
    assert not Allocation.objects.exists()


def test_availability_says_now_queue_or_never(make_workspace: Make) -> None:
    Node.objects.update(cpu=Decimal(2), schedulable_cpu=Decimal(1))
    sizes = list(Size.objects.all())
    assert {slug: answer.state for slug, answer in admission.availability(sizes).items()} == {
        "small": "now",
        "medium": "queue",
        "large": "never",
    }


def test_a_node_that_does_not_answer_takes_nothing(make_workspace: Make) -> None:
    from portal.lib import clock

    make_workspace()
    Node.objects.update(unreachable_since=clock.now())
    assert admission.admit() == []
    assert "does not answer" in Allocation.objects.get().message

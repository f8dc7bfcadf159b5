"""Leases: one reconcile at a time, a ring is never lost, and a late one changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal.compute import lease
from portal.compute.models import Allocation
from portal.compute.states import Phase
from portal.compute.transitions import move
from portal.lib import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def pk(make_workspace: Callable[..., Any]) -> str:
    found: str = make_workspace().allocation_id
    return found


def claimed(pk: str) -> Allocation:
    row = lease.claim(pk)
    assert row is not None
    return row


def test_only_one_holds_it(pk: str) -> None:
    claimed(pk)
    assert lease.claim(pk) is None


def test_a_ring_while_held_is_answered_by_the_holder(pk: str) -> None:
    row = claimed(pk)
    assert lease.claim(pk) is None
    assert lease.release(row, timedelta(minutes=1)) is False
    assert lease.release(claimed(pk), timedelta(minutes=1)) is True


def test_a_dead_holder_is_replaced_and_changes_nothing_afterwards(pk: str) -> None:
    late = claimed(pk)
    with clock.shifted(lease.LEASE * 2):
        again = claimed(pk)
        assert again.fence == late.fence + 1
        assert not lease.renew(late)
        assert not move(late, Phase.ENDED, actor="late")
        assert Allocation.objects.get(pk=pk).phase == Phase.PENDING
        assert lease.release(late, None) is True
        assert Allocation.objects.get(pk=pk).lease_until is not None


def test_an_unknown_step_is_a_mistake(pk: str) -> None:
    with pytest.raises(ValueError, match="cannot become"):
        move(claimed(pk), Phase.RUNNING, actor="test")

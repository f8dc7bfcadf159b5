"""Usage intervals: opened and closed with the allocation, guarded by the database, priced exactly."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from environments import actions
from portal.compute.models import Allocation
from portal.lib.money import Money
from portal.usage import costs, metering
from portal.usage.models import UsageInterval

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 11, 1, tzinfo=UTC)


def interval(start: int, end: int | None, **values: Any) -> UsageInterval:
    row = {
        "allocation_id": "A",
        "owner_kind": "workspace",
        "owner_id": "W",
        "meter": "cpu",
        "quantity": Decimal("1.5"),
        "price_per_hour": Decimal("0.02"),
        "currency": "EUR",
        "team": "vision",
        "user": "vera",
    }
    end_at = None if end is None else T0 + timedelta(seconds=end)
    return UsageInterval.objects.create(started_at=T0 + timedelta(seconds=start), ended_at=end_at, **(row | values))


def test_the_price_is_exact() -> None:
    interval(0, 3601)
    assert costs.so_far(["W"])["W"] == Money(Decimal("1.5") * 3601 * Decimal("0.02") / 3600, "EUR")
    assert costs.amount(Decimal(1), 3600, Decimal("0.000001")) == Decimal("0.000001")


def test_what_is_measured_is_added_to_what_is_open() -> None:
    interval(0, 10)
    cores, memory = interval(10, None), interval(10, None, meter="memory")
    devices = interval(10, None, meter="gpu", gpu_class="a100")
    row = Allocation(pk="A", cpu=Decimal("1.5"), gpu_count=2)
    metering.measured(row, 5, {"cpu": 2.5})
    metering.measured(row, 10, {"cpu": 2.5, "gpu": 15.0})
    for one, what in ((cores, (22.5, 5.0)), (devices, (20.0, 15.0)), (memory, (0.0, 0.0))):
        one.refresh_from_db()
        assert (one.measured, one.used) == what
    assert UsageInterval.objects.get(ended_at__isnull=False).measured == 0


def test_intervals_never_overlap_but_may_touch() -> None:
    interval(0, 10)
    interval(10, 20)
    interval(5, 15, meter="memory")
    interval(5, 15, allocation_id="B")
    with pytest.raises(IntegrityError), transaction.atomic():
        interval(19, 30)
    with pytest.raises(IntegrityError), transaction.atomic():
        interval(15, None)


def test_only_one_is_open() -> None:
    interval(0, None)
    with pytest.raises(IntegrityError), transaction.atomic():
        interval(100, None)


def test_a_closed_one_is_final() -> None:
    row = interval(0, 10)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        UsageInterval.objects.filter(pk=row.pk).update(quantity=9)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        row.delete()


def test_queueing_costs_nothing_and_a_run_costs_its_seconds(
    make_workspace: Callable[..., Any], settle: Callable[..., None], fake_engine: Any
) -> None:
    workspace = make_workspace()
    assert not UsageInterval.objects.exists()
    settle()
    assert set(UsageInterval.objects.values_list("meter", "quantity")) == {("cpu", Decimal(1)), ("memory", Decimal(2))}
    actions.stop(workspace, actor="vera")
    settle()
    workspace.refresh_from_db()
    for row in UsageInterval.objects.all():
        assert row.ended_at is not None
        assert abs(row.ended_at - workspace.allocation.ended_at) <= timedelta(milliseconds=500)
        assert (row.team, row.user, row.template, row.node) == ("vision", "vera", "jupyter-python", "fake")

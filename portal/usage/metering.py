"""Opens and closes usage intervals as allocations start and end, in the same transaction."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings

from portal.compute.models import GIB, Allocation, Transition
from portal.compute.states import Phase
from portal.lib import clock
from portal.usage.models import Price, UsageInterval

METERS = ("cpu", "memory")


def observe(allocation: Allocation, transition: Transition) -> None:
    """Queued and pulling cost nothing: metering begins when the container does."""
    if transition.to_phase == Phase.STARTING:
        open_intervals(allocation)
    elif transition.to_phase == Phase.ENDED and allocation.ended_at is not None:
        close_intervals(allocation, allocation.ended_at)


def quantity(allocation: Allocation, meter: str) -> Decimal:
    """Cores, or GiB."""
    return allocation.cpu if meter == "cpu" else Decimal(allocation.memory) / GIB


def price(meter: str, at: datetime) -> tuple[Decimal, str]:
    """Per hour and currency, as valid at `at`; free where nobody published a price."""
    row = Price.objects.filter(sku=meter, valid_from__lte=at).order_by("-valid_from").first()
    return (row.per_hour, row.currency) if row else (Decimal(0), settings.CURRENCY)


def open_intervals(allocation: Allocation) -> None:
    """One per meter, where none is open yet; a restart goes on in the same interval."""
    start = _whole_second(allocation.started_at or clock.now())
    for meter in METERS:
        per_hour, currency = price(meter, clock.now())
        UsageInterval.objects.get_or_create(
            allocation_id=allocation.pk,
            meter=meter,
            ended_at=None,
            defaults={
                "owner_kind": allocation.owner_kind,
                "owner_id": allocation.owner_id,
                "quantity": quantity(allocation, meter),
                "started_at": start,
                "price_per_hour": per_hour,
                "currency": currency,
                "team": allocation.team.slug,
                "user": allocation.user.username,
                "template": allocation.spec.get("template", ""),
                "node": allocation.node.name if allocation.node else "",
            },
        )


def close_intervals(allocation: Allocation, at: datetime) -> None:
    for interval in UsageInterval.objects.filter(allocation_id=allocation.pk, ended_at=None):
        end = max(_whole_second(at), interval.started_at)
        UsageInterval.objects.filter(pk=interval.pk, ended_at=None).update(ended_at=end)


def _whole_second(at: datetime) -> datetime:
    """Up to the next whole second from half a second on, so that errors cancel out."""
    return (at + timedelta(milliseconds=500)).replace(microsecond=0)

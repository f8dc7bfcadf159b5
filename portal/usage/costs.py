"""What something costs: per hour before it runs, so far while it runs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import F, Sum

from portal.compute.models import Size
from portal.lib import clock
from portal.lib.money import Money
from portal.usage.metering import prices, quantities, running
from portal.usage.models import UsageInterval

SECONDS_PER_HOUR = Decimal(3600)


def amount(quantity: Decimal, seconds: int, per_hour: Decimal) -> Decimal:
    """quantity × seconds × price, exact; never rounded here."""
    return quantity * seconds * per_hour / SECONDS_PER_HOUR


def per_hour(sizes: Iterable[Size]) -> dict[str, Money]:
    """Price of an hour of each size, by slug."""
    valid = prices(clock.now())
    currency = valid["cpu"][1]
    return {
        size.slug: Money(sum((held * valid[sku][0] for sku, held in quantities(size).items()), Decimal(0)), currency)
        for size in sizes
    }


def so_far(owner_ids: Iterable[str]) -> dict[str, Money]:
    """Cost by owner over all its allocations, open intervals counted up to now. One query."""
    now = clock.now()
    totals: dict[str, Decimal] = defaultdict(Decimal)
    rows = UsageInterval.objects.filter(owner_id__in=list(owner_ids)).values_list(
        "owner_id", "quantity", "price_per_hour", "started_at", "ended_at"
    )
    for owner_id, held, hourly, start, end in rows:
        totals[owner_id] += amount(held, max(int(((end or now) - start).total_seconds()), 0), hourly)
    return {owner_id: Money(total, settings.CURRENCY) for owner_id, total in totals.items()}


def since(moments: Mapping[str, datetime]) -> dict[str, Money]:
    """By allocation, what the time since that moment costs at what it costs now. At most one query."""
    now, spent = clock.now(), dict.fromkeys(moments, Decimal(0))
    if not moments:
        return {}
    rows = UsageInterval.objects.filter(allocation_id__in=list(moments), ended_at=None)
    for pk, held, hourly in rows.values_list("allocation_id", "quantity", "price_per_hour"):
        spent[pk] += amount(held, int((now - moments[pk]).total_seconds()), hourly)
    return {pk: Money(cost, settings.CURRENCY) for pk, cost in spent.items()}


def current_rate(user: str) -> Money:
    """What all that runs of a user costs per hour."""
    rows = running(UsageInterval.objects.filter(user=user))
    total = rows.aggregate(total=Sum(F("quantity") * F("price_per_hour")))["total"]
    return Money(total or Decimal(0), settings.CURRENCY)

"""What a month would have cost each team at other prices: what was held, by meter and GPU class, times the price."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import DecimalField, F, Q, Sum, Value
from django.db.models.functions import Coalesce, Greatest, Least

from portal.lib import clock
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.metering import sku_of
from portal.usage.models import UsageInterval
from portal.usage.statements import Seconds


@dataclass(frozen=True, slots=True)
class Held:
    """What a team held of one SKU. `quantity` is quantity × seconds, `spent` the same times the price: exact."""

    team: str
    currency: str
    sku: str
    quantity: Decimal
    spent: Decimal


@dataclass(frozen=True, slots=True)
class Compared:
    """What a team spent, and what it would have; as in Held, so that sums of these are exact."""

    team: str
    spent: Decimal
    other: Decimal

    @property
    def billed(self) -> Decimal:
        return self.spent / SECONDS_PER_HOUR

    @property
    def simulated(self) -> Decimal:
        return self.other / SECONDS_PER_HOUR

    @property
    def difference(self) -> Decimal:
        return (self.other - self.spent) / SECONDS_PER_HOUR


def held(month: tuple[datetime, datetime]) -> list[Held]:
    """In that month; open intervals count up to now. One query."""
    first, last = month
    until = min(clock.now().replace(microsecond=0), last)
    overlap = Q(ended_at=None) | Q(ended_at__gt=first)
    rows = UsageInterval.objects.filter(overlap, started_at__lt=until).order_by()
    stop = Least(Coalesce("ended_at", Value(until)), Value(until))
    quantity = F("quantity") * Seconds(stop - Greatest("started_at", Value(first)))
    exact = DecimalField(max_digits=40, decimal_places=10)
    sums = {"held": Sum(quantity, output_field=exact)}
    sums |= {"spent": Sum(quantity * F("price_per_hour"), output_field=exact)}
    grouped = rows.values_list("team", "currency", "meter", "gpu_class").annotate(**sums)
    return [Held(team, currency, sku_of(meter, gpu), *both) for team, currency, meter, gpu, *both in grouped]


def compared(rows: Iterable[Held], per_hour: Mapping[str, Decimal]) -> list[Compared]:
    """For each team, the most expensive first. Raises KeyError for a SKU without a price."""
    sums: dict[str, Compared] = {}
    for row in rows:
        one = sums.get(row.team, Compared(row.team, Decimal(0), Decimal(0)))
        sums[row.team] = Compared(row.team, one.spent + row.spent, one.other + row.quantity * per_hour[row.sku])
    return sorted(sums.values(), key=lambda one: (-one.spent, one.team))


def total(rows: Sequence[Compared]) -> Compared:
    zero = Decimal(0)
    return Compared("", sum((row.spent for row in rows), zero), sum((row.other for row in rows), zero))

"""What a month would have cost each team at other prices: what was held, by meter and GPU class, times the price."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.usage import reports
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.meters import sku_of
from portal.usage.reports import Bucket, Scope


@dataclass(frozen=True, slots=True)
class Held:
    """What a team held and paid in one currency. `quantities` are quantity × seconds by SKU, `spent` as in Sum."""

    team: str
    currency: str
    quantities: Mapping[str, Decimal]
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


def held(month: Bucket) -> list[Held]:
    """In that month, with each GPU class for itself; open intervals count up to now. One query."""
    found = reports.sums(Scope(), [month], ["team", "currency", "gpu_class"])
    return [
        Held(team, currency, {sku_of(meter, gpu_class): held for meter, held in one.held.items()}, one.spent)
        for (_, (team, currency, gpu_class)), one in found.items()
    ]


def compared(rows: Iterable[Held], per_hour: Mapping[str, Decimal]) -> list[Compared]:
    """For each team, the most expensive first. Raises KeyError for a SKU without a price."""
    sums: dict[str, Compared] = {}
    for row in rows:
        one = sums.get(row.team, Compared(row.team, Decimal(0), Decimal(0)))
        other = sum((quantity * per_hour[sku] for sku, quantity in row.quantities.items()), one.other)
        sums[row.team] = Compared(row.team, one.spent + row.spent, other)
    return sorted(sums.values(), key=lambda one: (-one.spent, one.team))


def total(rows: Sequence[Compared]) -> Compared:
    zero = Decimal(0)
    return Compared("", sum((row.spent for row in rows), zero), sum((row.other for row in rows), zero))

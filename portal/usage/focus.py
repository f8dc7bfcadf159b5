"""Usage in the columns of FOCUS 1.2, the FinOps Foundation's format for costs: a row for each interval in a month.

A month is one of UTC. Costs have ten digits, and each is rounded so that the sum of the rows down to it is right to the
last of them: all rows of a currency add up to what reports say.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

from django.conf import settings
from django.db.models import Prefetch, Q
from django.http import StreamingHttpResponse

from portal.accounts.models import Team, User
from portal.compute import owners
from portal.lib import clock, spreadsheets
from portal.lib.words import plain
from portal.usage import access, periods, storage
from portal.usage.costs import SECONDS_PER_HOUR
from portal.usage.meters import METERS, STORAGE, sku_of
from portal.usage.models import StatementItem, UsageInterval
from portal.usage.reports import Scope

CHUNK = 1_000
DIGITS = Decimal("0.0000000001")
KINDS = {"workspace": "Workspace", "job": "Job", storage.KIND: "Volume"}


@dataclass(frozen=True, slots=True)
class Charge:
    """One interval as far as it lies in the month. `held` is quantity × seconds."""

    interval: UsageInterval
    month: tuple[datetime, datetime]
    start: datetime
    end: datetime
    held: Decimal
    cost: Decimal
    resource: str
    team: str

    @property
    def sku(self) -> str:
        return sku_of(self.interval.meter, self.interval.gpu_class)

    @property
    def statement(self) -> str:
        """The one that bills it; empty until there is one."""
        return next((item.statement_id for item in self.interval.items.all()), "")

    @property
    def tags(self) -> dict[str, str]:
        row = self.interval
        names = ("user", "project", "template", "node", "gpu_class")
        return {name: value for name in names if (value := getattr(row, name))}


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


COLUMNS: dict[str, Callable[[Charge], str]] = {
    "BilledCost": lambda charge: f"{charge.cost:f}",
    "BillingAccountId": lambda _: str(settings.INSTANCE),
    "BillingAccountName": lambda _: f"Berth {settings.INSTANCE}",
    "BillingAccountType": lambda _: "Installation",
    "BillingCurrency": lambda charge: charge.interval.currency,
    "BillingPeriodEnd": lambda charge: _time(charge.month[1]),
    "BillingPeriodStart": lambda charge: _time(charge.month[0]),
    "ChargeCategory": lambda _: "Usage",
    "ChargeClass": lambda _: "",
    "ChargeDescription": lambda charge: (
        f"{plain(charge.interval.quantity)} {METERS[charge.interval.meter].unit} of {charge.resource}"
    ),
    "ChargeFrequency": lambda _: "Usage-Based",
    "ChargePeriodEnd": lambda charge: _time(charge.end),
    "ChargePeriodStart": lambda charge: _time(charge.start),
    "ConsumedQuantity": lambda charge: f"{charge.held:f}",
    "ConsumedUnit": lambda charge: f"{METERS[charge.interval.meter].unit}-Seconds",
    "ContractedCost": lambda charge: f"{charge.cost:f}",
    "ContractedUnitPrice": lambda charge: f"{charge.interval.price_per_hour:f}",
    "EffectiveCost": lambda charge: f"{charge.cost:f}",
    "InvoiceId": lambda charge: charge.statement,
    "InvoiceIssuerName": lambda _: "Berth",
    "ListCost": lambda charge: f"{charge.cost:f}",
    "ListUnitPrice": lambda charge: f"{charge.interval.price_per_hour:f}",
    "PricingCategory": lambda _: "Standard",
    "PricingCurrency": lambda charge: charge.interval.currency,
    "PricingQuantity": lambda charge: f"{charge.held / SECONDS_PER_HOUR:.10f}",
    "PricingUnit": lambda charge: f"{METERS[charge.interval.meter].unit}-Hours",
    "ProviderName": lambda _: "Berth",
    "PublisherName": lambda _: "Berth",
    "ResourceId": lambda charge: charge.interval.owner_id,
    "ResourceName": lambda charge: charge.resource,
    "ResourceType": lambda charge: KINDS.get(charge.interval.owner_kind, charge.interval.owner_kind),
    "ServiceCategory": lambda charge: "Storage" if charge.interval.meter == STORAGE else "Compute",
    "ServiceName": lambda charge: f"{KINDS.get(charge.interval.owner_kind, charge.interval.owner_kind)}s",
    "ServiceSubcategory": lambda charge: "File Storage" if charge.interval.meter == STORAGE else "Containers",
    "SkuId": lambda charge: charge.sku,
    "SkuMeter": lambda charge: METERS[charge.interval.meter].label,
    "SkuPriceId": lambda charge: f"{charge.sku}@{charge.interval.price_per_hour:f}-{charge.interval.currency}",
    "SubAccountId": lambda charge: charge.interval.team,
    "SubAccountName": lambda charge: charge.team,
    "SubAccountType": lambda _: "Team",
    "Tags": lambda charge: json.dumps(charge.tags, ensure_ascii=False),
}
"""How each is filled; docs/reference/focus.md says it in words."""


def download(user: User, month: str) -> StreamingHttpResponse:
    """What the person's teams used in `2026-11`; without a name in this month. Raises Invalid and Forbidden."""
    wanted = periods.month_named(month)
    return spreadsheets.download(f"berth-focus-{wanted[0]:%Y-%m}.csv", rows(access.billing(user), wanted))


def rows(scope: Scope, month: tuple[datetime, datetime]) -> Iterator[list[str]]:
    """The names of all columns, then the charges of the month; open intervals count up to now."""
    yield list(COLUMNS)
    for charge in _charges(scope, month):
        yield [fill(charge) for fill in COLUMNS.values()]


def _charges(scope: Scope, month: tuple[datetime, datetime]) -> Iterator[Charge]:
    first, last = month
    until = min(clock.now().replace(microsecond=0), last)
    spent: dict[str, Decimal] = defaultdict(Decimal)
    written: dict[str, Decimal] = defaultdict(Decimal)
    teams = dict(Team.objects.values_list("slug", "name"))
    for row, resource in _named(_intervals(scope, first, last)):
        start, end = max(row.started_at, first), min(row.ended_at or until, last)
        held = row.quantity * int((end - start).total_seconds())
        if held <= 0:
            continue
        spent[row.currency] += held * row.price_per_hour
        cost = (spent[row.currency] / SECONDS_PER_HOUR).quantize(DIGITS) - written[row.currency]
        written[row.currency] += cost
        yield Charge(row, month, start, end, held, cost, resource, teams.get(row.team, row.team))


def _intervals(scope: Scope, first: datetime, last: datetime) -> Iterator[UsageInterval]:
    """In the order in which they began, never all of them in memory."""
    overlap = Q(ended_at=None) | Q(ended_at__gt=first)
    items = Prefetch("items", StatementItem.objects.filter(month=first.date()))
    found = scope.intervals().filter(overlap, started_at__lt=last).order_by("started_at", "pk")
    return found.prefetch_related(items).iterator(CHUNK)


def _named(intervals: Iterator[UsageInterval]) -> Iterator[tuple[UsageInterval, str]]:
    """Each with what people call the thing that it is of; its id where that is gone."""
    while chunk := list(islice(intervals, CHUNK)):
        known = owners.subjects(chunk)
        yield from ((row, known[row.owner_id].name if row.owner_id in known else row.owner_id) for row in chunk)

"""Meters what volumes keep: an interval for each volume and each size that it was found to have.

It counts from when it was measured, in hundredths of a GiB, until another size is measured, it is charged to somebody
else, or people are rid of it. Between two looks it is as the first found it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import DateTimeField, Value

from portal.compute.models import GIB
from portal.lib import clock
from portal.lib.money import Money
from portal.usage import metering
from portal.usage.meters import STORAGE
from portal.usage.models import UsageInterval

KIND = "files"
"""Of what owns such an interval, where others say `workspace` or `job`."""
DIGITS = Decimal("0.01")
HOURS_OF_A_MONTH = 730
_LOCK = 7_201_020


@dataclass(frozen=True, slots=True)
class Payer:
    """Whom something is charged to, by slug, username and name; each may be empty."""

    team: str = ""
    user: str = ""
    project: str = ""


def a_month(sizes: Mapping[str, int]) -> dict[str, Money]:
    """What a month of so many bytes costs at the price in force; of what is free nothing is said. At most one query."""
    if not any(sizes.values()):
        return {}
    per_hour, currency = metering.prices(clock.now())[STORAGE]
    costs = {key: _gib(size) * per_hour * HOURS_OF_A_MONTH for key, size in sizes.items()}
    return {key: Money(cost, currency) for key, cost in costs.items() if cost}


@transaction.atomic
def hold(volume_id: str, size: int, payer: Payer) -> None:
    """It takes `size` bytes, from now on; what is known already changes nothing."""
    _one_at_a_time()
    now = metering.whole_second(clock.now())
    wanted = asdict(payer) | {"quantity": _gib(size)}
    row = UsageInterval.objects.filter(allocation_id=volume_id, meter=STORAGE, ended_at=None).first()
    if row is not None and all(getattr(row, name) == value for name, value in wanted.items()):
        return
    metering.close(volume_id, now)
    if wanted["quantity"]:
        per_hour, currency = metering.prices(now)[STORAGE]
        UsageInterval.objects.create(
            allocation_id=volume_id,
            owner_kind=KIND,
            owner_id=volume_id,
            meter=STORAGE,
            started_at=now,
            price_per_hour=per_hour,
            currency=currency,
            **wanted,
        )


@transaction.atomic
def release(volume_id: str, at: datetime) -> None:
    """People are rid of it since then. Doing it twice is no error."""
    _one_at_a_time()
    metering.close(volume_id, at)


@transaction.atomic
def divide() -> None:
    """Part of every tick: what cost something else when it was measured costs what is in force."""
    _one_at_a_time()
    now = clock.now()
    seen_at = Value(now, DateTimeField())
    rows = list(metering.undivided(now, seen_at).filter(meter=STORAGE)[: metering.BATCH])
    metering.write(metering.divided(rows, {row.allocation_id: now for row in rows}))


def _gib(size: int) -> Decimal:
    return (Decimal(size) / GIB).quantize(DIGITS)


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])

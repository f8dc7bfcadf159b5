"""Opens and closes usage intervals as allocations start and end, in the same transaction, and divides them by price.

An interval costs what was valid when it began. Where another price begins it ends, and the next one begins at that
second. A closed interval is final, so only what was seen running past that second is divided there: what nobody has
seen since may have ended before. Each tick divides what was seen meanwhile, an ending divides what is left.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable

from portal.compute.models import GIB, Allocation, Size, Transition
from portal.compute.states import Phase
from portal.lib import clock, ids
from portal.usage.meters import GPU, STORAGE, gpu_sku, meter_of, sku_of
from portal.usage.models import Price, UsageInterval

DIGITS = Decimal("0.0001")
BATCH = 5_000
SECOND = timedelta(seconds=1)


def observe(allocation: Allocation, transition: Transition) -> None:
    """Queued and pulling cost nothing: metering begins when the container does."""
    if transition.to_phase == Phase.STARTING:
        open_intervals(allocation)
    elif transition.to_phase == Phase.ENDED and allocation.ended_at is not None:
        close(allocation.pk, allocation.ended_at)


def quantities(what: Allocation | Size) -> dict[str, Decimal]:
    """By SKU: cores, GiB (with as many digits as an interval keeps), devices."""
    found = {"cpu": what.cpu, "memory": (Decimal(what.memory) / GIB).quantize(DIGITS)}
    return found | ({gpu_sku(what.gpu_class_id): Decimal(what.gpu_count)} if what.gpu_class_id else {})


def in_force(at: datetime) -> QuerySet[Price]:
    """The price of each SKU at `at`."""
    return Price.objects.filter(valid_from__lte=at).order_by("sku", "-valid_from").distinct("sku")


def prices(at: datetime) -> dict[str, tuple[Decimal, str]]:
    """Per hour and currency by SKU, as valid at `at`; free where nobody published a price. One query."""
    free = (Decimal(0), settings.CURRENCY)
    return defaultdict(lambda: free, {row.sku: (row.per_hour, row.currency) for row in in_force(at)})


def open_intervals(allocation: Allocation) -> None:
    """One per meter, where none is open yet; a restart goes on in the same interval."""
    start = whole_second(allocation.started_at or clock.now())
    valid = prices(start)
    for sku, quantity in quantities(allocation).items():
        per_hour, currency = valid[sku]
        UsageInterval.objects.get_or_create(
            allocation_id=allocation.pk,
            meter=meter_of(sku),
            ended_at=None,
            defaults={
                "owner_kind": allocation.owner_kind,
                "owner_id": allocation.owner_id,
                "quantity": quantity,
                "started_at": start,
                "price_per_hour": per_hour,
                "currency": currency,
                "team": allocation.team.slug,
                "user": allocation.user.username,
                "project": allocation.project,
                "template": allocation.spec.get("template", ""),
                "gpu_class": allocation.gpu_class_id or "",
                "node": allocation.node.name if allocation.node else "",
            },
        )


def close(pk: str, at: datetime) -> None:
    """All that is open of this allocation, or volume."""
    end = whole_second(at)
    rows = UsageInterval.objects.filter(allocation_id=pk, ended_at=None)
    found = divided(rows, {pk: end})
    for pieces in found:
        pieces[-1].ended_at = max(end, pieces[-1].started_at)
    write(found)


def running(rows: QuerySet[UsageInterval]) -> QuerySet[UsageInterval]:
    """What is open of what runs: what only lies there is not among it."""
    return rows.filter(ended_at=None).exclude(meter=STORAGE)


def measured(allocation: Allocation, seconds: float, used: Mapping[str, float]) -> None:
    """What its open intervals held in that time was measured, and so much of it was at work."""
    held = {"cpu": float(allocation.cpu), "gpu": float(allocation.gpu_count)}
    for meter, amount in used.items():
        rows = UsageInterval.objects.filter(allocation_id=allocation.pk, meter=meter, ended_at=None)
        rows.update(measured=F("measured") + held[meter] * seconds, used=F("used") + amount)


@transaction.atomic
def divide() -> None:
    """Part of every tick: whatever was seen running past another price, in as many queries however much it is.

    Of two at once, and of what is just ending, the second finds nothing left to do.
    """
    seen_at = Allocation.objects.filter(pk=OuterRef("allocation_id")).values("confirmed_at")
    found = running(undivided(clock.now(), Subquery(seen_at))).values_list("allocation_id", flat=True)
    if wanted := set(found[:BATCH]):
        rows = Allocation.objects.filter(pk__in=wanted).order_by().select_for_update(skip_locked=True, no_key=True)
        seen = {pk: at for pk, at in rows.values_list("pk", "confirmed_at") if at is not None}
        write(divided(UsageInterval.objects.filter(allocation_id__in=seen, ended_at=None), seen))


def undivided(now: datetime, seen_at: Combinable) -> QuerySet[UsageInterval]:
    """Open intervals that cost something else than they should since before they were last seen."""
    wrong = Q(pk=None)
    for price in in_force(now):
        meter = meter_of(price.sku)
        of_it = Q(meter=meter, gpu_class=price.sku.removeprefix(gpu_sku(""))) if meter == GPU else Q(meter=meter)
        other = ~Q(price_per_hour=price.per_hour, currency=price.currency)
        wrong |= of_it & other & Q(seen_at__gt=price.valid_from)
    return UsageInterval.objects.filter(ended_at=None).annotate(seen_at=seen_at).filter(wrong).order_by()


def divided(rows: Iterable[UsageInterval], until: Mapping[str, datetime]) -> list[list[UsageInterval]]:
    """Each open interval as its pieces, up to what is known of what it is of; not written yet. Two queries."""
    found = [[row] for row in rows]
    history: dict[str, list[Price]] = defaultdict(list)
    for price in Price.objects.order_by("valid_from") if found else ():
        history[price.sku].append(price)
    for pieces in found:
        row = pieces[0]
        known = max(until[row.allocation_id], row.started_at + SECOND)
        for price in history[sku_of(row.meter, row.gpu_class)]:
            if price.valid_from < known:
                _add(pieces, price)
    return found


def _add(pieces: list[UsageInterval], price: Price) -> None:
    """From its beginning on the last piece costs this; a new piece, where it began before and costs something else."""
    last = pieces[-1]
    if (last.price_per_hour, last.currency) == (price.per_hour, price.currency):
        return
    if last.started_at < price.valid_from:
        last.ended_at = price.valid_from
        kept = {field.attname: getattr(last, field.attname) for field in last._meta.concrete_fields}
        begun = {"id": ids.new_id(), "started_at": price.valid_from, "ended_at": None, "measured": 0, "used": 0}
        last = UsageInterval(**kept | begun)
        pieces.append(last)
    last.price_per_hour, last.currency = price.per_hour, price.currency


def write(found: list[list[UsageInterval]]) -> None:
    """An update for each price and end that there is, and all new pieces at once."""
    alike = defaultdict(list)
    for first, *_ in found:
        alike[first.ended_at, first.price_per_hour, first.currency].append(first.pk)
    for (end, per_hour, currency), pks in alike.items():
        changes = {"ended_at": end, "price_per_hour": per_hour, "currency": currency}
        UsageInterval.objects.filter(pk__in=pks, ended_at=None).update(**changes)
    UsageInterval.objects.bulk_create(piece for _, *others in found for piece in others)


def whole_second(at: datetime) -> datetime:
    """Up to the next whole second from half a second on, so that errors cancel out."""
    return (at + timedelta(milliseconds=500)).replace(microsecond=0)

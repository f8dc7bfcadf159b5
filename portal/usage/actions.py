"""Publishes prices."""

from collections.abc import Mapping
from decimal import Decimal

from django.db import transaction

from portal.audit.actions import record
from portal.lib import clock
from portal.usage.metering import SECOND
from portal.usage.models import Price


@transaction.atomic
def publish_prices(per_hour: Mapping[str, Decimal], currency: str, *, actor: str) -> None:
    """By SKU, all valid from this second on, or from a second after the price in force where that is later.

    Those that are in force already stay. What runs is divided at that second (metering.divide). Publishing is one at a
    time: within the lock of the catalog.
    """
    now = clock.now().replace(microsecond=0)
    newest = {price.sku: price for price in Price.objects.order_by("sku", "-valid_from").distinct("sku")}
    for sku, amount in per_hour.items():
        current = newest.get(sku)
        if current and (current.per_hour, current.currency) == (amount, currency):
            continue
        begins = max(now, current.valid_from + SECOND) if current else now
        Price.objects.create(sku=sku, per_hour=amount, currency=currency, valid_from=begins, published_by=actor)
        before = {"per_hour": str(current.per_hour), "currency": current.currency} if current else {}
        after = {"per_hour": str(amount), "currency": currency}
        record(actor, "price.publish", f"price-{sku}", before=before, after=after)

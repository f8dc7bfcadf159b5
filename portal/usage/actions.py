"""Publishes prices."""

from decimal import Decimal

from django.db import transaction

from portal.audit.actions import record
from portal.usage.models import Price


@transaction.atomic
def publish_price(sku: str, per_hour: Decimal, currency: str, *, actor: str) -> bool:
    """Valid from now on; True when it differs from the price in force. Running intervals keep theirs."""
    current = Price.objects.filter(sku=sku).order_by("-valid_from").first()
    if current and (current.per_hour, current.currency) == (per_hour, currency):
        return False
    Price.objects.create(sku=sku, per_hour=per_hour, currency=currency, published_by=actor)
    before = {"per_hour": str(current.per_hour), "currency": current.currency} if current else {}
    record(
        actor,
        "price.publish",
        f"price-{sku}",
        before=before,
        after={"per_hour": str(per_hour), "currency": currency},
    )
    return True

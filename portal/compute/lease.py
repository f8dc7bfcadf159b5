"""Leases on allocations: one reconcile at a time, and a fence so that a late one changes nothing."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from portal.compute.models import Allocation
from portal.lib import clock

LEASE = timedelta(seconds=30)
RENEW_AFTER = timedelta(seconds=15)


@transaction.atomic
def _try(allocation_id: str) -> Allocation | None:
    now = clock.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    row = Allocation.objects.select_for_update(skip_locked=True).filter(free, pk=allocation_id).first()
    if row is None:
        return None
    row.fence, row.lease_until, row.next_look_at = row.fence + 1, now + LEASE, now + LEASE
    row.save(update_fields=["fence", "lease_until", "next_look_at"])
    return row


def claim(allocation_id: str) -> Allocation | None:
    """The row, ours for LEASE; None when somebody has it, who is then asked to look once more."""
    row = _try(allocation_id)
    if row is None and Allocation.objects.filter(pk=allocation_id).update(rung=F("rung") + 1):
        row = _try(allocation_id)  # the holder may have let go between the two
    return row


def renew(allocation: Allocation) -> bool:
    """Keep the lease when half of it is over; False when it was lost."""
    now = clock.now()
    if allocation.lease_until is not None and allocation.lease_until - now > RENEW_AFTER:
        return True
    allocation.lease_until = now + LEASE
    held = Allocation.objects.filter(pk=allocation.pk, fence=allocation.fence)
    return held.update(lease_until=allocation.lease_until, next_look_at=allocation.lease_until) == 1


def release(allocation: Allocation, look_again: timedelta | None) -> bool:
    """Let go, to be looked at after `look_again` (None: never). False when somebody rang meanwhile."""
    due = None if look_again is None else clock.now() + look_again
    held = Allocation.objects.filter(pk=allocation.pk, fence=allocation.fence)
    quiet = held.filter(rung=allocation.rung).update(lease_until=None, next_look_at=due)
    return bool(quiet) or not held.update(lease_until=None, next_look_at=clock.now())

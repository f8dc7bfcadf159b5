"""Celery's door to compute: each task re-reads, does one thing, and may be lost or run twice."""

from portal.celery import short
from portal.compute import admission, ticking
from portal.compute import reconcile as reconciling
from portal.compute.actions import ring_reconcile


@short
def admit() -> None:
    """Place what fits; go on with the first one here, which saves it a hop, and ring for the others."""
    placed = admission.admit()
    for allocation_id in placed[1:]:
        ring_reconcile(allocation_id)
    if placed:
        reconciling.reconcile(placed[0])


@short
def reconcile(allocation_id: str) -> None:
    reconciling.reconcile(allocation_id)


@short
def tick() -> None:
    ticking.tick("worker", ring_reconcile)

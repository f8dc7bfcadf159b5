"""Performs a transition: the one function through which an allocation changes phase."""

from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from portal.celery import ring
from portal.compute import owners, shares
from portal.compute.models import Allocation, GpuHold, Transition
from portal.compute.states import PLACED, TRANSITIONS, Phase, Reason
from portal.lib import clock
from portal.lib.states import compare_and_swap, refresh
from portal.live.redis import publish


@transaction.atomic
def move(
    allocation: Allocation,
    to: Phase,
    *,
    actor: str,
    reason: Reason = Reason.NONE,
    message: str = "",
    fenced: bool = True,
    **changes: Any,
) -> bool:
    """Move on if the row still has the phase, generation and (for a reconcile) fence in hand.

    Writes the Transition, tells the owner and observers, publishes the topic on commit; True when done.
    Raises ValueError for a step that TRANSITIONS does not know.
    """
    came_from = Phase(allocation.phase)
    if to not in TRANSITIONS[came_from]:
        raise ValueError(f"{came_from} cannot become {to}")
    expected = {"pk": allocation.pk, "phase": came_from, "generation": allocation.generation}
    if fenced:
        expected["fence"] = allocation.fence
    changes = _settled(allocation, to, {**changes, "reason": reason, "message": message})
    if not compare_and_swap(Allocation.objects.all(), expected, changes):
        return False
    refresh(allocation, changes)
    if to == Phase.ENDED:
        _let_go(allocation, came_from)
    written = Transition.objects.create(
        allocation=allocation,
        at=changes["phase_at"],
        from_phase=came_from,
        to_phase=to,
        generation=allocation.generation,
        reason=reason,
        message=message,
        actor=actor,
    )
    owners.tell(allocation, written)
    publish(allocation.topic, "allocations")
    return True


def _let_go(allocation: Allocation, came_from: Phase) -> None:
    """What it had is counted, and is free from now on: its devices also when the clock was put back meanwhile."""
    shares.charge(allocation)
    if allocation.gpu_count:
        held = GpuHold.objects.filter(allocation=allocation, until=None)
        held.update(until=Greatest(F("since"), Value(clock.now())))
    if came_from in PLACED:
        transaction.on_commit(_ring_admission)


def _ring_admission() -> None:
    """There is room now: what waits need not wait for the next tick."""
    from portal.compute import tasks

    ring(tasks.admit)


def _settled(allocation: Allocation, to: Phase, changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` with all that every step, and every ending, sets besides."""
    now = clock.now()
    settled = {"progress": None, "attempts": 0, "phase": to, "phase_at": now, "next_look_at": now} | changes
    if to == Phase.ENDED:
        began = allocation.started_at or allocation.created_at
        settled |= {
            "unknown_since": None,
            "frozen_at": None,
            "address": "",
            "ended_at": max(changes.get("ended_at") or now, began),
        }
    return settled

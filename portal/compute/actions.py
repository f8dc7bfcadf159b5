"""Intents: reserve compute, end it, restart it. They write what is wanted and ring; reconcile does the rest."""

from typing import Any

from django.db import transaction
from django.db.models import F

from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.celery import ring
from portal.compute import admission, owners
from portal.compute.models import Allocation, Size, Transition
from portal.compute.states import Desired, Phase, Reason
from portal.compute.transitions import move
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from portal.live.redis import publish


@transaction.atomic
def reserve(
    *, owner_kind: str, owner_id: str, user: User, team: Team, size: Size, spec: dict[str, Any], actor: str
) -> Allocation:
    """Queue for a share of a node. `spec` holds image, command, environment, port, prefix, mounts (see specs).

    Raises Invalid for `size` when no node is large enough, ever.
    """
    refusal = admission.never_fits(size)
    if refusal:
        raise Invalid.field("size", f"Size {size} never fits: {refusal}.")
    allocation = Allocation.objects.create(
        owner_kind=owner_kind,
        owner_id=owner_id,
        user=user,
        team=team,
        size=size,
        cpu=size.cpu,
        memory=size.memory,
        spec=spec,
        message="Waiting for a place",
    )
    written = Transition.objects.create(
        allocation=allocation,
        to_phase=Phase.PENDING,
        generation=1,
        actor=actor,
        message=f"accepted: {size} for {team}",
    )
    owners.tell(allocation, written)
    record(
        actor,
        "allocation.reserve",
        f"allocation-{allocation.pk}",
        after={"size": size.slug, "team": team.slug},
    )
    publish(allocation.topic, "allocations")
    transaction.on_commit(ring_admission)
    return allocation


@transaction.atomic
def end(allocation: Allocation, *, actor: str, reason: Reason = Reason.STOPPED) -> None:
    """Want it ended, now. Wanting it twice, or when it has ended, is no error."""
    wanted = Allocation.objects.filter(pk=allocation.pk, desired=Desired.RUN).exclude(phase=Phase.ENDED)
    changes: dict[str, Any] = {"desired": Desired.END, "end_reason": reason, "next_look_at": clock.now()}
    if wanted.update(rung=F("rung") + 1, **changes):
        allocation.desired = Desired.END
        record(actor, "allocation.end", f"allocation-{allocation.pk}", after={"reason": reason})
        publish(allocation.topic)
        transaction.on_commit(lambda: ring_reconcile(allocation.pk))


@transaction.atomic
def restart(allocation: Allocation, *, actor: str) -> None:
    """A fresh container in the same place. Raises Conflict unless it is starting or running."""
    if allocation.desired == Desired.END or allocation.phase not in (Phase.STARTING, Phase.RUNNING):
        raise Conflict("Only something that runs can be restarted.", code="not_running")
    if not move(
        allocation,
        Phase.CREATING,
        actor=actor,
        message="restart",
        fenced=False,
        generation=allocation.generation + 1,
        address="",
        container_started_at=None,
        rung=F("rung") + 1,
    ):
        raise Conflict("It has just changed; look again.", code="changed")
    record(
        actor,
        "allocation.restart",
        f"allocation-{allocation.pk}",
        after={"generation": allocation.generation},
    )
    transaction.on_commit(lambda: ring_reconcile(allocation.pk))


def ring_admission() -> None:
    from portal.compute import tasks

    ring(tasks.admit)


def ring_reconcile(allocation_id: str) -> None:
    from portal.compute import tasks

    ring(tasks.reconcile, allocation_id)

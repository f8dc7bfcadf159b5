"""Intents: reserve compute, suspend, resume, restart and end it. They write what is wanted and ring."""

from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.celery import ring
from portal.compute import admission, owners
from portal.compute.limits import Amounts, Limits, amounts
from portal.compute.models import Allocation, Size, Transition
from portal.compute.placement import Need
from portal.compute.states import HEAD_START, Desired, Phase, Rank, Reason
from portal.compute.transitions import move
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid
from portal.live.redis import publish


@transaction.atomic
def reserve(
    *,
    owner_kind: str,
    owner_id: str,
    user: User,
    team: Team,
    size: Size,
    spec: dict[str, Any],
    actor: str,
    project: str = "",
    rank: Rank = Rank.NORMAL,
) -> Allocation:
    """Queue for a share of a node, in line as its rank says.

    `spec` holds image, command, environment, port, prefix, mounts (see specs).

    Raises Invalid for `size` when no node or no limit is large enough, ever.
    """
    need = Need.of(size)
    _refuse_if_too_large(size, user, team, amounts(owner_kind, need))
    allocation = Allocation.objects.create(
        owner_kind=owner_kind,
        owner_id=owner_id,
        user=user,
        team=team,
        project=project,
        size=size,
        **need.columns,
        spec=spec,
        message="Waiting for a place",
        line_at=clock.now() - HEAD_START[rank],
    )
    written = Transition.objects.create(
        allocation=allocation,
        to_phase=Phase.PENDING,
        generation=1,
        actor=actor,
        message=f"accepted: {size} for {team}",
    )
    owners.tell(allocation, written)
    facts = {"size": size.slug, "team": team.slug}
    record(actor, "allocation.reserve", f"allocation-{allocation.pk}", after=facts)
    publish(allocation.topic, "allocations")
    transaction.on_commit(ring_admission)
    return allocation


def _refuse_if_too_large(size: Size, user: User, team: Team, wanted: Amounts) -> None:
    refusal = admission.never_fits(Need.of(size)) or Limits().refused(user.pk, team, wanted)
    if refusal:
        raise Invalid.field("size", f"Size {size} never fits: {refusal}.")


@transaction.atomic
def end(allocation: Allocation, *, actor: str, reason: Reason = Reason.STOPPED, message: str = "") -> None:
    """Want it ended, now; `message` is why, where `reason` alone does not say it. Wanting it twice, or when it has
    ended, is no error.
    """
    wanted = Allocation.objects.exclude(desired=Desired.END).exclude(phase=Phase.ENDED)
    if _want(allocation, wanted, Desired.END, end_reason=reason, end_message=message):
        why = {"reason": reason} | ({"message": message} if message else {})
        record(actor, "allocation.end", f"allocation-{allocation.pk}", after=why)


@transaction.atomic
def suspend(allocation: Allocation, *, actor: str) -> None:
    """Want what runs frozen where it is: it keeps its place, and nobody is let in. Wanting it twice is no error."""
    wanted = Allocation.objects.filter(desired=Desired.RUN, phase=Phase.RUNNING)
    if _want(allocation, wanted, Desired.SUSPEND):
        record(actor, "allocation.suspend", f"allocation-{allocation.pk}")


@transaction.atomic
def resume(allocation: Allocation, *, actor: str) -> None:
    """Want what is suspended to go on. For what is not there is nothing to do."""
    wanted = Allocation.objects.filter(desired=Desired.SUSPEND)
    if _want(allocation, wanted, Desired.RUN):
        record(actor, "allocation.resume", f"allocation-{allocation.pk}")


def _want(allocation: Allocation, wanted: QuerySet[Allocation], desired: Desired, **changes: Any) -> bool:
    """Change what is wanted of it, if it is still among those `wanted`, and ring."""
    now = clock.now()
    changes |= {"desired": desired, "desired_at": now, "next_look_at": now}
    if not wanted.filter(pk=allocation.pk).update(rung=F("rung") + 1, **changes):
        return False
    allocation.desired = desired
    publish(allocation.topic)
    transaction.on_commit(lambda: ring_reconcile(allocation.pk))
    return True


@transaction.atomic
def restart(allocation: Allocation, *, spec: dict[str, Any], actor: str) -> None:
    """A fresh container in the same place, made from `spec`. Raises Conflict unless it starts, runs or is suspended."""
    if allocation.desired == Desired.END or allocation.phase not in (Phase.STARTING, Phase.RUNNING):
        raise Conflict("Only something that runs can be restarted.", code="not_running")
    if not move(
        allocation,
        Phase.CREATING,
        actor=actor,
        message="restart",
        fenced=False,
        generation=allocation.generation + 1,
        spec=spec,
        address="",
        container_started_at=None,
        desired=Desired.RUN,
        desired_at=clock.now(),
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

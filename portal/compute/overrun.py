"""What goes on running on GPUs after the grant it ran on is over: where the class of GPU names a grace, its owners are
told at once, and what is still held beyond the limits then is stopped, the newest first."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from portal.compute import admission, owners
from portal.compute.limits import Limits, Scope
from portal.compute.models import Allocation
from portal.compute.states import PLACED, Desired
from portal.lib import clock, words
from portal.lib.postponing import Postponed
from portal.live.redis import publish
from portal.notices.actions import tell
from portal.notices.states import Kind
from portal.quotas.models import Grant
from portal.quotas.states import GPU

ACTOR = "grants"
BATCH = 20
_failed = Postponed("what runs on after the end of the grant")


def tick() -> None:
    """Part of every tick. The grace begins when owners are told, however late that is."""
    now = clock.now()
    over = Grant.objects.filter(Q(ends_at__lte=now) | Q(revoked_at__isnull=False), overrun_ended_at=None)
    over = over.filter(gpu_class__grace_hours__isnull=False).select_related("gpu_class", "user", "team")
    for grant in over.exclude(pk__in=_failed.rows()).order_by("pk")[:BATCH]:
        if grant.overrun_told_at is None:
            _do(grant, _tell)
        elif now >= _stops_at(grant, grant.overrun_told_at):
            _do(grant, _stop)


def _do(grant: Grant, what: Callable[[Grant], None]) -> None:
    with _failed.trying(grant.pk), transaction.atomic():
        admission.alone()
        what(grant)


def _tell(grant: Grant) -> None:
    now = clock.now()
    Grant.objects.filter(pk=grant.pk).update(overrun_told_at=now)
    at, beyond = _stops_at(grant, now), excess(grant)
    subjects = owners.subjects(beyond)
    for one in beyond:
        stopped = f"{subjects[one.owner_id].name} is stopped at {words.point(at, now)}"
        text = f"The grant of {grant} is over: {stopped}, unless it fits into what may be held by then."
        facts = {"allocation": {"id": one.pk, "until": at.isoformat()}}
        tell(one.user, Kind.WORK_STOPPED, f"{one.pk}-grant", text, subjects[one.owner_id].url, facts)


def _stops_at(grant: Grant, told_at: datetime) -> datetime:
    return told_at + timedelta(hours=grant.gpu_class.grace_hours or 0)


def _stop(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(overrun_ended_at=clock.now())
    for one in excess(grant):
        sentence = f"The grant of {grant} that it ran on is over."
        owners.owner_of(one).stop(one, actor=ACTOR, message=sentence)
    publish("allocations")


def excess(grant: Grant) -> list[Allocation]:
    """What the person or team of a grant holds of its class beyond their limit and what others lend, the newest first.

    As many as it takes to come down to that; what is ending already counts as gone.
    """
    scope: Scope = "user" if grant.user_id else "team"
    who, of_class = grant.user_id or grant.team_id, {"gpu_class": grant.gpu_class_id, "phase__in": PLACED}
    held = Allocation.objects.filter(**of_class, **{scope: who}).exclude(desired=Desired.END)
    reach = Limits().of(scope, who, GPU + grant.gpu_class_id).reach
    beyond = sum(one.gpu_count for one in held) - (reach if reach is not None else 1_000_000)
    found = []
    for one in held.select_related("user").order_by("-id"):
        if beyond <= 0:
            break
        found.append(one)
        beyond -= one.gpu_count
    return found

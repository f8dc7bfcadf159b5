"""Jobs whose GPUs do nothing: owners are told, and where the class of GPU says so, the job is stopped after that."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Max, Min, Q

from jobs import telling
from jobs.models import Attempt
from portal.compute import actions as compute
from portal.compute.activity import BUSY
from portal.compute.models import Sample
from portal.compute.states import Desired, Phase, Reason
from portal.lib import clock, words
from portal.lib.postponing import Postponed
from portal.live.redis import publish
from portal.quotas.states import WhenIdle

ACTOR = "idle GPUs"
WARNING = timedelta(minutes=15)
"""From the notice to the end of the job, where it is stopped."""
GAP = timedelta(minutes=1)
"""So old may the last sample be, and so much before the time that is looked at the first."""
OFTEN = timedelta(seconds=15)
"""There are as many samples at least as there would be one in each of these: in a gap a GPU may have worked."""
_failed = Postponed("the look at the GPUs of the attempt")


def settle_due() -> None:
    """Part of every tick: tell, take back what was told, and stop."""
    rows = Attempt.objects.filter(
        counted=None,
        allocation__phase=Phase.RUNNING,
        allocation__desired=Desired.RUN,
        allocation__gpu_class__idle_minutes__isnull=False,
    ).exclude(pk__in=_failed.rows())
    for pk in rows.values_list("pk", flat=True):
        with _failed.trying(pk), transaction.atomic():
            _settle(Attempt.objects.select_for_update(of=("self",)).select_related("allocation__gpu_class").get(pk=pk))


def _settle(attempt: Attempt) -> None:
    minutes = _minutes(attempt)
    if not rested(attempt, timedelta(minutes=minutes)):
        if attempt.idle_told_at is not None:
            _note(attempt, None)
    elif attempt.idle_told_at is None:
        _note(attempt, clock.now())
        telling.gpus_idle(attempt, minutes, stops_at(attempt))
    elif (due := stops_at(attempt)) is not None and clock.now() >= due:
        idle = timedelta(minutes=minutes) + WARNING
        sentence = f"Its GPUs did no work for {words.duration(idle.total_seconds())}."
        compute.end(attempt.allocation, actor=ACTOR, reason=Reason.IDLE, message=sentence)


def _minutes(attempt: Attempt) -> int:
    rule = attempt.allocation.gpu_class
    assert rule is not None and rule.idle_minutes is not None
    return rule.idle_minutes


def _note(attempt: Attempt, told_at: datetime | None) -> None:
    attempt.idle_told_at = told_at
    attempt.save(update_fields=["idle_told_at"])
    publish(f"job-{attempt.job_id}")


def stops_at(attempt: Attempt) -> datetime | None:
    """When it is stopped, if its GPUs go on doing nothing; None where its owner is only told, or was not told yet."""
    rule, told_at = attempt.allocation.gpu_class, attempt.idle_told_at
    return told_at + WARNING if rule and rule.when_idle == WhenIdle.STOP and told_at else None


def rested(attempt: Attempt, time: timedelta) -> bool:
    """Whether its GPUs were measured all that time up to now, and none of them worked.

    Simulated ones are not measured, nor is anything while the node cannot be asked: that is no rest.
    """
    now = clock.now()
    samples = Sample.objects.filter(allocation=attempt.allocation_id, at__gt=now - time - GAP)
    latest = samples.order_by("-at").values_list("gpu", flat=True).first()
    if latest is None or latest >= BUSY["gpu"]:  # as it is of most jobs, of which no more is read then
        return False
    seen = samples.aggregate(
        count=Count("pk"), unknown=Count("pk", filter=Q(gpu=None)), first=Min("at"), last=Max("at"), most=Max("gpu")
    )
    if seen["unknown"] or seen["count"] < time / OFTEN or seen["most"] >= BUSY["gpu"]:
        return False
    return bool(seen["first"] <= now - time and seen["last"] >= now - GAP)

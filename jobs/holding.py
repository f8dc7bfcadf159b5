"""Lets held jobs go: when what they wait for has ended, and when it is their turn in a sweep."""

from django.db import transaction
from django.db.models import Count, F, Q

from jobs import actions, dependencies, snapshots
from jobs.models import Job
from jobs.plan_models import Sweep
from jobs.plan_states import Hold
from jobs.states import UNFINISHED, CodeState
from portal.lib import clock
from portal.lib.postponing import Postponed
from portal.live.redis import publish

BATCH = 50
UNDER_WAY = Count("jobs", filter=Q(jobs__state__in=UNFINISHED, jobs__hold=Hold.NONE))
"""How many points of a sweep that have an attempt, are being begun, or wait to be tried again."""
_held = Postponed("the end of the wait")
_turnless = Postponed("the next turn")


def release_due() -> None:
    """Part of every tick, before `begin_due`: two queries, and work only for what is let go."""
    for job in dependencies.done_waiting().exclude(pk__in=_held.rows())[:BATCH]:
        with _held.trying(job.pk):
            if job.vain:  # type: ignore[attr-defined]
                actions.give_up(job, dependencies.in_vain(job))
            else:
                _waited(job)
    for pk in _with_room():
        with _turnless.trying(pk):
            take_turns(pk)


def turn(sweep: Sweep, point: int) -> str:
    return f"Point {point} of {sweep.count} waits for its turn: {_at_once(sweep.parallelism)} at once"


def _at_once(number: int) -> str:
    return "1 runs" if number == 1 else f"{number} run"


@transaction.atomic
def _waited(job: Job) -> None:
    """It may begin, or is now in the line of its sweep."""
    held = Job.objects.filter(pk=job.pk, hold=Hold.AFTER)
    if job.sweep is not None and job.point is not None:
        held.update(hold=Hold.TURN, message=turn(job.sweep, job.point))
    else:
        held.update(hold=Hold.NONE, begin_at=clock.now(), message="")
        _say_what_is_copied([job.pk])
    publish(job.topic, f"jobs-{job.owner_id}")


def _say_what_is_copied(job_ids: list[str]) -> None:
    Job.objects.filter(pk__in=job_ids, snapshot__state=CodeState.WAITING).update(message=snapshots.COPYING)


def _with_room() -> list[str]:
    waiting = Job.objects.filter(hold=Hold.TURN).values("sweep")
    rows = Sweep.objects.filter(pk__in=waiting, cancelled_by="").exclude(pk__in=_turnless.rows())
    rows = rows.annotate(under_way=UNDER_WAY)
    return list(rows.filter(under_way__lt=F("parallelism")).order_by("pk").values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def take_turns(sweep_id: str) -> None:
    """Let go as many points as there is room for. The lock keeps two tickers from filling the same room."""
    sweep = Sweep.objects.select_for_update(skip_locked=True).filter(pk=sweep_id, cancelled_by="").first()
    if sweep is None:
        return
    under_way = Sweep.objects.filter(pk=sweep.pk).aggregate(number=UNDER_WAY)["number"]
    waiting = Job.objects.filter(sweep=sweep, hold=Hold.TURN).order_by("point").values_list("pk", flat=True)
    chosen = list(waiting[: max(min(sweep.parallelism - under_way, BATCH), 0)])
    Job.objects.filter(pk__in=chosen, hold=Hold.TURN).update(hold=Hold.NONE, begin_at=clock.now(), message="")
    _say_what_is_copied(chosen)
    publish(sweep.topic, f"jobs-{sweep.owner_id}", *(f"job-{pk}" for pk in chosen))

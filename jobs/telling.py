"""What people are told of their jobs, sweeps and schedules, in the transaction in which it comes to be."""

from datetime import datetime

from django.db.models import Count, Q

from jobs.models import Attempt, Job
from jobs.plan_models import Origin, Schedule, Sweep
from jobs.states import J
from portal.lib import clock, words
from portal.notices.actions import tell
from portal.notices.states import Kind

WORDS = {J.FAILED: "failed", J.TIMED_OUT: "timed out", J.LOST: "was lost", J.CANCELLED: "was cancelled"}


def job_ended(job_id: str) -> None:
    """Nobody is told what they did themselves, nor of the points of a sweep one by one."""
    job = Job.objects.select_related("owner").get(pk=job_id)
    if job.sweep_id is None and job.cancelled_by != job.owner.username:
        kind = Kind.JOB_SUCCEEDED if job.state == J.SUCCEEDED else Kind.JOB_FAILED
        names = ("name", "state", "reason", "exit_code")
        facts = {"id": job.pk} | {name: getattr(job, name) for name in names}
        tell(job.owner, kind, job.topic, _of_job(job), job.get_absolute_url(), {"job": facts})


def gpus_idle(attempt: Attempt, minutes: int, stops_at: datetime | None) -> None:
    """Once for each time that they do nothing."""
    job = Job.objects.select_related("owner").get(pk=attempt.job_id)
    text = f"The GPUs of job {job.name} did no work for {words.duration(minutes * 60)}."
    if stops_at is not None:
        left = words.duration((stops_at - clock.now()).total_seconds())
        text += f" It is stopped in {left}, unless they work again."
    facts = {"id": job.pk, "name": job.name, "attempt": attempt.number, "idle_minutes": minutes}
    facts |= {"stops_at": stops_at.isoformat() if stops_at else None}
    subject = f"{job.topic}-{attempt.number}-{clock.now().timestamp():.0f}"
    tell(job.owner, Kind.JOB_GPUS_IDLE, subject, text, job.get_absolute_url(), {"job": facts})


def _of_job(job: Job) -> str:
    match job.state:
        case J.SUCCEEDED:
            return f"Job {job.name} succeeded{_after(job)}."
        case J.CANCELLED if job.cancelled_by:
            return f"Job {job.name} was cancelled by {job.cancelled_by}."
        case _:
            return f"Job {job.name} {WORDS[J(job.state)]}: {job.message}"


def _after(job: Job) -> str:
    if job.begun_at is None or job.ended_at is None:
        return ""
    return f" after {words.duration((job.ended_at - job.begun_at).total_seconds())}"


def sweep_ended(sweep: Sweep) -> None:
    """Once for all its points."""
    if sweep.cancelled_by == sweep.owner.username:
        return
    succeeded = Job.objects.filter(sweep=sweep).aggregate(count=Count("pk", filter=Q(state=J.SUCCEEDED)))["count"]
    text = f"Sweep {sweep.name} has ended: {succeeded} of {sweep.count} points succeeded."
    facts = {"id": sweep.pk, "name": sweep.name, "points": sweep.count, "succeeded": succeeded}
    tell(sweep.owner, Kind.SWEEP_FINISHED, sweep.topic, text, sweep.get_absolute_url(), {"sweep": facts})


def schedule_paused(row: Schedule, origin: Origin, why: str) -> None:
    """Once for each due time, or version of a dataset, that had this end."""
    text = f"Schedule {row.name} is paused, because its job was refused: {why}"
    facts = {"id": row.pk, "name": row.name, "why": why}
    subject = f"{row.topic}-{origin.due_version.pk if origin.due_version else origin.due_at}"
    tell(row.owner, Kind.SCHEDULE_PAUSED, subject, text, row.get_absolute_url(), {"schedule": facts})

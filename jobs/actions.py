"""Writes to jobs: submit, begin an attempt, follow it, settle what comes after its end, cancel, run again."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from environments import checks as environments
from environments import named_images, volumes
from environments.models import Volume
from jobs import checks, data_use, dependencies, model_use, snapshots, telling, tracking
from jobs.again import submission_of
from jobs.models import Attempt, Job
from jobs.plan_models import Origin
from jobs.plan_states import Hold
from jobs.spec import NO_CODE, spec_of
from jobs.states import FINAL, UNFINISHED, ArtifactsState, CodeState, Ending, J, JobState, outcome
from jobs.submission import Submission
from portal.accounts.models import User
from portal.audit.actions import record
from portal.compute import actions as compute
from portal.compute import log_reading
from portal.compute.models import Allocation, Transition
from portal.compute.states import Phase, Rank, Reason
from portal.lib import clock, words
from portal.lib.errors import Conflict, Problem
from portal.lib.postponing import POSTPONED, Postponed
from portal.live.redis import publish

logger = logging.getLogger(__name__)

BATCH = 50
TAIL_LINES = 1000
NOBODY = Origin()
STATES: dict[Phase, JobState] = {
    Phase.PENDING: J.QUEUED,
    Phase.ADMITTED: J.STARTING,
    Phase.PULLING: J.STARTING,
    Phase.CREATING: J.STARTING,
    Phase.STARTING: J.STARTING,
    Phase.RUNNING: J.RUNNING,
    Phase.STOPPING: J.STOPPING,
}
"""What a job is while its attempt is in this phase; the end of an attempt is settled apart."""
_unsettled = Postponed("what follows the attempt")
_overdue = Postponed("the end of the overdue attempt")
_unforgotten = Postponed("forgetting the files")


@transaction.atomic
def check(owner: User, asked: Submission) -> dict[str, Any]:
    """What `submit` would refuse now is refused; the columns of the job it would make."""
    columns = checks.columns(owner, asked)
    environments.secrets(owner, columns["team"], asked.secrets)
    checks.inputs(owner, asked.inputs)
    model_use.named(columns["team"], asked.models)
    return columns


@transaction.atomic
def submit(owner: User, asked: Submission, *, actor: str, origin: Origin = NOBODY) -> Job:
    """Queue the job asked for. Raises Invalid naming the field of `asked`."""
    columns = checks.columns(owner, asked)
    columns["version"] = named_images.kept(columns["version"])
    secrets = environments.secrets(owner, columns["team"], asked.secrets)
    datasets = checks.inputs(owner, asked.inputs)
    models = model_use.named(columns["team"], asked.models)
    before = dependencies.named(owner, asked.after, asked.after_condition)
    wait = dependencies.wait_for(before, asked.after_condition)
    job = Job(owner=owner, volume=volumes.for_job(owner), rerun_of_id=asked.rerun_of, **vars(origin), **columns)
    job.hold, job.begin_at = (Hold.AFTER, None) if wait else (Hold.NONE, clock.now())
    job.snapshot = snapshots.begun(owner, columns)
    copying = job.snapshot is not None and job.snapshot.state != CodeState.READY
    job.message = wait or (snapshots.COPYING if copying else "")
    job.save(force_insert=True)
    job.datasets.set(datasets)
    job.secrets.set(secrets)
    job.used_models.set(models)
    job.after.set(before)
    shown = {"name": job.name, "template": job.version.template_id, "size": job.size_id, "command": job.command}
    shown |= {"image": job.version.image.named} if job.version.image.named else {}
    record(actor, "job.submit", job.topic, after=shown | {"secrets": [secret.name for secret in secrets]})
    _tell(job)
    if not copying and not job.hold:
        _begin(job, actor)
    return job


def begin_due() -> None:
    """Part of every tick: begin attempts whose time has come.

    One that cannot begin ends its job with the reason; one that a fault of ours keeps from it holds up no other.
    """
    due = Q(begin_at__lte=clock.now(), cancelled_by="") & ~Q(snapshot__state=CodeState.WAITING)
    for pk in Job.objects.filter(due).order_by("begin_at", "id").values_list("pk", flat=True)[:BATCH]:
        with transaction.atomic():
            job = _joined().select_for_update(of=("self",), skip_locked=True).filter(due, pk=pk).first()
            if job is None:
                continue
            try:
                with transaction.atomic():
                    _begin(job, "jobs")
            except Problem as problem:
                _finish(job, J.FAILED, Reason.ENGINE_ERROR, problem.detail)
            except SoftTimeLimitExceeded:
                raise
            except Exception:
                logger.exception("job %s begins later: a bug on our side", pk)
                Job.objects.filter(pk=pk).update(begin_at=clock.now() + POSTPONED)


def _joined() -> Any:
    return Job.objects.select_related(
        "owner", "team", "size", "version__template", "version__image", "volume", "snapshot__volume"
    )


def _begin(job: Job, actor: str) -> None:
    number = job.attempts.count() + 1
    Job.objects.filter(pk=job.pk).update(begin_at=None, message="")
    job.begin_at = None
    allocation = compute.reserve(
        owner_kind="job",
        owner_id=job.pk,
        user=job.owner,
        team=job.team,
        size=job.size,
        project=job.project,
        spec=spec_of(job, number),
        actor=actor,
        rank=Rank(job.priority),
    )
    Attempt.objects.create(job=job, number=number, allocation=allocation)


@transaction.atomic
def fix_image(job: Job) -> None:
    """Its image was pulled by a tag: from now on, and when it is run again, it runs what that meant then. So do all
    points of its sweep.
    """
    tag, fixed = job.version, named_images.meant(job.version)
    same = Q(pk=job.pk) | Q(sweep=job.sweep_id, sweep__isnull=False)
    if Job.objects.filter(same, version=tag).update(version=fixed):
        record("jobs", "job.image", job.topic, before={"image": tag.image.named}, after={"image": fixed.image.named})
        publish(job.topic)


def follow(allocation: Allocation, transition: Transition) -> None:
    """Called inside the transaction of each transition of an attempt."""
    phase = Phase(transition.to_phase)
    if phase == Phase.ENDED:
        _ended(allocation)
        return
    anew: dict[str, Any] = {"progress": None} if phase == Phase.PENDING else {}
    Job.objects.filter(pk=allocation.owner_id, state__in=UNFINISHED).update(state=STATES[phase], **anew)
    if phase == Phase.CREATING:
        tracking.settle(allocation)
    if phase == Phase.STARTING:
        Job.objects.filter(pk=allocation.owner_id, begun_at=None).update(begun_at=allocation.started_at)
        volumes.seen(allocation.spec["mounts"][0]["volume"])
        data_use.note(allocation)
    publish_lists(allocation)


def _ended(allocation: Allocation) -> None:
    """Settled at once, unless a rule asks for the log, which is still being collected."""
    attempt = Attempt.objects.select_related("job").get(allocation=allocation)
    job = attempt.job
    if job.retrying.reads_log and allocation.reason in (Reason.FAILED, Reason.OOM) and not job.cancelled_by:
        Job.objects.filter(pk=job.pk).update(state=J.STOPPING, message="Looking at its log")
        publish_lists(allocation)
        return
    _settle(attempt, allocation, "")


def settle_due() -> None:
    """Part of every tick: settle attempts whose log was waited for."""
    ended = Q(counted=None, allocation__phase=Phase.ENDED) & ~Q(allocation__log_state="open")
    rows = Attempt.objects.filter(ended).exclude(pk__in=_unsettled.rows()).select_related("allocation")
    for attempt in rows.order_by("pk")[:BATCH]:
        with _unsettled.trying(attempt.pk), transaction.atomic():
            tail = "\n".join(log_reading.last_texts(attempt.allocation, TAIL_LINES))
            _settle(attempt, attempt.allocation, tail)


def _settle(attempt: Attempt, allocation: Allocation, tail: str) -> None:
    """Again, or over; once for each attempt."""
    job = Job.objects.select_related("version__template", "size").select_for_update(of=("self",)).get(pk=attempt.job_id)
    larger = environments.larger(job.version.template, job.size) if job.retrying.may_grow else None
    before = list(Attempt.objects.filter(job=job).exclude(pk=attempt.pk).values_list("counted", flat=True))
    found = outcome(
        Ending(Reason(allocation.reason), allocation.exit_code, tail),
        job.retrying,
        counted_before=before.count(True),
        uncounted_before=before.count(False),
        wanted=not job.cancelled_by,
        can_grow=larger is not None,
    )
    if not Attempt.objects.filter(pk=attempt.pk, counted=None).update(counted=found.counted):
        return
    Job.objects.filter(pk=job.pk).update(exit_code=allocation.exit_code)
    if found.delay is None:
        why = _why(job, allocation)
        if found.larger and larger is None:
            why += f" {job.version.template.name} has no larger size than {job.size_id}."
        _finish(job, found.state, Reason(allocation.reason), why, allocation.ended_at)
        return
    size = larger if found.larger and larger else job.size
    begin = f"Again{f' as {size.slug}' if found.larger else ''} in {words.duration(found.delay.total_seconds())}."
    again = f"Attempt {attempt.number}: {allocation.message} {begin}"
    Job.objects.filter(pk=job.pk).update(state=J.QUEUED, size=size, begin_at=clock.now() + found.delay, message=again)
    _tell(job)


def _why(job: Job, allocation: Allocation) -> str:
    if allocation.exit_code == NO_CODE and job.git_url and not job.git_commit:
        at = f" at {job.git_ref}" if job.git_ref else ""
        return f"Its code could not be fetched from {job.git_url}{at}; its log says why."
    return allocation.message


def _finish(job: Job, state: JobState, reason: Reason, message: str, at: datetime | None = None) -> None:
    ran = Attempt.objects.filter(job=job, allocation__started_at__isnull=False).exists()
    ended = Job.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
        state=state,
        reason=reason,
        message=message,
        hold=Hold.NONE,
        begin_at=None,
        ended_at=max(at or clock.now(), job.created_at),
        artifacts_state=ArtifactsState.WAITING if ran else ArtifactsState.NONE,
    )
    if ended:
        telling.job_ended(job.pk)
    _tell(job)


@transaction.atomic
def cancel(job: Job, *, actor: str, message: str = "") -> Job:
    """End it now and do not try again; `message` is why, if somebody said. Cancelling twice, or what is over, is no
    error.
    """
    # As in a transition, the allocation is locked before its job.
    Allocation.objects.select_for_update().filter(attempt__job=job, attempt__counted=None).first()
    row = Job.objects.select_for_update().get(pk=job.pk)
    if row.state in FINAL or row.cancelled_by:
        return row
    Job.objects.filter(pk=row.pk).update(cancelled_by=actor, begin_at=None)
    record(actor, "job.cancel", row.topic)
    row.cancelled_by = actor
    attempt = row.attempts.select_related("allocation").filter(counted=None).first()
    if attempt is None:
        _finish(row, J.CANCELLED, Reason.CANCELLED, message or f"Cancelled by {actor}.")
    elif attempt.allocation.open:
        Job.objects.filter(pk=row.pk).update(state=J.STOPPING)
        compute.end(attempt.allocation, actor=actor, message=message)
        _tell(row)
    else:
        _settle(attempt, attempt.allocation, "")
    return row


@transaction.atomic
def give_up(job: Job, sentence: str) -> None:
    """It waited for what can no longer be."""
    row = Job.objects.select_for_update().get(pk=job.pk)
    if row.hold == Hold.AFTER:
        _finish(row, J.CANCELLED, Reason.CANCELLED, sentence)


def end_overdue() -> None:
    """Part of every tick: ask attempts to end that have run longer than their job is given."""
    limited = Attempt.objects.filter(
        counted=None,
        job__max_duration_seconds__isnull=False,
        allocation__desired="run",
        allocation__started_at__isnull=False,
    ).exclude(Q(allocation__phase=Phase.ENDED) | Q(pk__in=_overdue.rows()))
    for attempt in limited.select_related("job", "allocation"):
        with _overdue.trying(attempt.pk):
            _end_if_overdue(attempt)


def _end_if_overdue(attempt: Attempt) -> None:
    given, began = attempt.job.max_duration_seconds, attempt.allocation.started_at
    assert given is not None and began is not None
    if (clock.now() - began).total_seconds() >= given:
        sentence = f"It ran longer than the {words.duration(given)} it was given."
        compute.end(attempt.allocation, actor="jobs", reason=Reason.MAX_DURATION, message=sentence)


def rerun(job: Job, owner: User, *, actor: str) -> Job:
    """The same again as a new job of `owner`: version, code, parameters, inputs. Raises Invalid as `submit`."""
    return submit(owner, replace(submission_of(job, owner), rerun_of=job.pk), actor=actor)


def forget_files() -> None:
    """Part of every tick: delete what jobs left that ended JOB_FILES_DAYS ago; their record stays."""
    old = Job.objects.filter(ended_at__lt=clock.now() - timedelta(days=settings.JOB_FILES_DAYS), pinned=False)
    due = old.exclude(Q(artifacts_state=ArtifactsState.REMOVED) | Q(pk__in=_unforgotten.rows()))
    for pk in due.values_list("pk", flat=True)[:BATCH]:
        with _unforgotten.trying(pk), transaction.atomic():
            job = Job.objects.select_for_update().get(pk=pk)
            if not job.pinned:
                Job.objects.filter(pk=pk).update(artifacts_state=ArtifactsState.REMOVED)
                Volume.objects.filter(pk=job.volume_id).update(delete_requested_at=clock.now())
                snapshots.let_go(job.snapshot_id)
                publish(job.topic)


@transaction.atomic
def pin(job: Job, pinned: bool, *, actor: str) -> None:
    """Keep what it left for ever, or no longer. Raises Conflict when that is gone, or needed by a model."""
    row = Job.objects.select_for_update().get(pk=job.pk)
    if row.artifacts_state == ArtifactsState.REMOVED:
        raise Conflict("Its files were deleted already.", code="removed")
    if not pinned and (needed := row.kept_models.select_related("model").filter(deleted_at=None).first()):
        raise Conflict(f"Its files belong to {needed}. Delete that version first.", code="needed")
    Job.objects.filter(pk=job.pk).update(pinned=pinned)
    record(actor, "job.pin" if pinned else "job.unpin", job.topic)
    publish(job.topic)


def publish_lists(allocation: Allocation) -> None:
    publish(f"job-{allocation.owner_id}", f"jobs-{allocation.user_id}")


def _tell(job: Job) -> None:
    publish(job.topic, f"jobs-{job.owner_id}")

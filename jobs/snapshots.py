"""Writes to snapshots: made where a job asks for a folder, shared by reruns and sweeps, removed with the last job."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from environments import volumes
from environments.models import Volume, Workspace
from jobs import access, telling
from jobs.access import Right
from jobs.models import Job, Snapshot
from jobs.plan_states import Hold
from jobs.states import UNFINISHED, ArtifactsState, CodeState, J
from portal.accounts.models import User
from portal.compute.states import Reason
from portal.lib import clock
from portal.lib.errors import Invalid, Problem
from portal.live.redis import publish

COPYING = "Copying its code"


def begun(owner: User, columns: Mapping[str, Any]) -> Snapshot | None:
    """For a job of these columns: the one it shares, a new one of the folder it asks for, or none."""
    shared: Snapshot | None = columns["snapshot"]
    workspace: Workspace | None = columns["workspace"]
    copies = columns["folder"] or (workspace and not columns["git_url"])
    if shared or not copies:
        return shared
    source = workspace.home if workspace else volumes.home_of(owner)
    return Snapshot.objects.create(source=source, folder=columns["folder"], volume=volumes.for_job(owner))


def of_job(owner: User, job_id: str) -> Snapshot:
    """The one that job began with, for who may run it again; it stays as long as this transaction. Raises Invalid."""
    try:
        job = access.job_for(owner, job_id, Right.RERUN)
    except Problem as problem:
        raise Invalid.field("code_of", problem.detail) from None
    job.snapshot = snapshot = Snapshot.objects.select_for_update().filter(pk=job.snapshot_id).first()
    if snapshot is None:
        raise Invalid.field("code_of", f"{job.name} did not run a copy of a folder.")
    if snapshot.state == CodeState.REMOVED:
        sentence = f"The code of {job.name} was deleted with its files. Name a folder to run that as it is now."
        raise Invalid.field("code_of", sentence)
    if job.code_never_came:
        raise Invalid.field("code_of", f"The code of {job.name} was never copied. Name a folder to run that.")
    return snapshot


def waiting() -> QuerySet[Snapshot]:
    """Those that some job still needs, oldest first."""
    needed = Exists(Job.objects.filter(snapshot=OuterRef("pk"), state__in=UNFINISHED))
    made = {"volume__made_at__isnull": False, "source__made_at__isnull": False}
    return Snapshot.objects.filter(needed, state=CodeState.WAITING, **made).order_by("id")


@transaction.atomic
def arrived(snapshot: Snapshot, code_hash: str) -> None:
    """It is in its volume; its jobs may begin."""
    there = Snapshot.objects.filter(pk=snapshot.pk, state=CodeState.WAITING)
    if there.update(state=CodeState.READY, hash=code_hash, files_until=None):
        volumes.changed(snapshot.volume_id)
        free = Job.objects.filter(snapshot=snapshot, state=J.QUEUED, hold=Hold.NONE)
        free.filter(message=COPYING).update(message="")
        _tell(free)


@transaction.atomic
def failed(snapshot: Snapshot, sentence: str) -> None:
    """It will not come; none of its jobs has run, and none can."""
    waits = Snapshot.objects.filter(pk=snapshot.pk, state=CodeState.WAITING)
    if waits.update(state=CodeState.FAILED, files_until=None):
        left = Job.objects.filter(snapshot=snapshot, state__in=UNFINISHED)
        ended = dict(left.values_list("pk", "sweep"))
        over = {"hold": Hold.NONE, "begin_at": None, "ended_at": clock.now()}
        left.update(state=J.FAILED, reason=Reason.FAILED, message=sentence, **over)
        _tell(Job.objects.filter(pk__in=ended))
        for pk in (pk for pk, sweep in ended.items() if sweep is None):
            telling.job_ended(pk)


def let_go(snapshot_id: str | None) -> None:
    """Remove it where all its jobs have let go of their files; whoever wants to share it now comes too late."""
    snapshot = Snapshot.objects.select_for_update().filter(pk=snapshot_id).first()
    if snapshot is None:
        return
    kept = Job.objects.filter(snapshot=snapshot).exclude(artifacts_state=ArtifactsState.REMOVED)
    if not kept.exists():
        Snapshot.objects.filter(pk=snapshot.pk).update(state=CodeState.REMOVED)
        Volume.objects.filter(pk=snapshot.volume_id).update(delete_requested_at=clock.now())


def _tell(jobs: QuerySet[Job]) -> None:
    topics = {topic for pk, owner in jobs.values_list("pk", "owner") for topic in (f"job-{pk}", f"jobs-{owner}")}
    publish(*sorted(topics))

"""Writes to models: keep what a job left as the next version, delete a version."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max

from environments import volumes
from environments.models import Volume
from jobs import model_names
from jobs.model_models import Model, ModelVersion
from jobs.model_states import VersionState
from jobs.models import Artifact, Job, Scalar
from jobs.spec import CODE
from jobs.states import FINAL, UNFINISHED, ArtifactsState
from portal.accounts.access import roles
from portal.accounts.models import User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Conflict, Invalid, Problem
from portal.live.redis import publish

NOTE_LENGTH = 500
MOST_METRICS = 100
COLLECTED = (ArtifactsState.COMPLETE, ArtifactsState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Keeping:
    """As it was asked, unchecked. `path` is that of an artifact, or of a folder with artifacts."""

    name: str
    path: str
    note: str = ""


@transaction.atomic
def keep(owner: User, job: Job, asked: Keeping, *, actor: str) -> ModelVersion:
    """The next version of that model of the job's team, which is made where there is none yet.

    From now on the files of the job stay too. Raises Invalid naming the field, and Conflict when they are gone.
    """
    row = Job.objects.select_for_update(of=("self",)).select_related("team").get(pk=job.pk)
    name, note = model_names.checked("name", asked.name), _note(asked.note)
    if row.team_id not in roles(owner):
        raise Invalid.field("job", f"Only who is in {row.team.name} may keep models for it.")
    path, found = _artifacts(row, asked.path)
    Job.objects.filter(pk=row.pk).update(pinned=True)
    model = _model(row, name, owner)
    version = ModelVersion.objects.create(
        model=model,
        number=(model.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        job=row,
        path=path,
        is_file=found[0].path == path,
        size=sum(one.size for one in found),
        files=len(found),
        sha256=_digest(found, path),
        metrics=_metrics(row),
        note=note,
        created_by=owner,
        volume=volumes.for_model(owner),
    )
    record(actor, "model.keep", model.topic, after={"version": str(version), "job": row.pk, "path": path})
    _tell(version)
    return version


def keep_asked(job: Job) -> None:
    """What the job was to keep when it has succeeded. What cannot be kept is said in its message, and fails nothing."""
    if not job.keep_as:
        return
    try:
        keep(job.owner, job, Keeping(job.keep_as, job.keep_path), actor=job.owner.username)
    except Problem as problem:
        said = f"It was not kept as {job.keep_as}: {problem.detail}"
        Job.objects.filter(pk=job.pk).update(message=said)
        publish(job.topic)


def _note(text: str) -> str:
    if len(text.strip()) > NOTE_LENGTH or not text.strip().isprintable():
        raise Invalid.field("note", f"Use at most {NOTE_LENGTH} printable characters.")
    return text.strip()


def _artifacts(job: Job, asked: str) -> tuple[str, list[Artifact]]:
    """The path in the job's volume and what lies there; it may be asked for as a path below the code, too."""
    if job.artifacts_state == ArtifactsState.REMOVED:
        raise Conflict("Its files were deleted already.", code="removed")
    if job.state not in FINAL or job.artifacts_state not in COLLECTED:
        raise Conflict("Its artifacts are collected when it is over.", code="not_collected")
    tidy = asked.strip().strip("/")
    for path in (tidy, f"{CODE}/{tidy}"):
        if found := artifacts_at(job, path):
            return path, found
    raise Invalid.field("path", f"The job left nothing at “{asked[:80]}”.")


def artifacts_at(job: Job, path: str) -> list[Artifact]:
    """The artifact of that path, or all below that folder; in the order of paths."""
    if not path or "\0" in path:
        return []
    rows = Artifact.objects.filter(job=job)
    one = rows.filter(path=path)
    return sorted(one or rows.filter(path__startswith=f"{path}/"), key=lambda artifact: artifact.path)


def _digest(found: Sequence[Artifact], path: str) -> str:
    if found[0].path == path:
        return found[0].sha256
    over = hashlib.sha256()
    for one in found:
        over.update(f"{one.path.removeprefix(f'{path}/')}\0{one.sha256}\n".encode())
    return over.hexdigest()


def _metrics(job: Job) -> dict[str, float]:
    """The last value of each."""
    newest_first = ("name", "-attempt__number", "-seq")
    rows = Scalar.objects.filter(job=job).order_by(*newest_first).distinct("name")
    return dict(rows.values_list("name", "value")[:MOST_METRICS])


def _model(job: Job, name: str, owner: User) -> Model:
    """Locked, so that versions are numbered one after the other."""
    Model.objects.bulk_create([Model(team=job.team, name=name, created_by=owner)], ignore_conflicts=True)
    return Model.objects.select_for_update().get(team=job.team, name=name)


def filled(version: ModelVersion) -> None:
    """Its files are in its volume too, so each of the two takes a part of what they share."""
    volumes.changed(version.volume_id, version.job.volume_id)
    _settle(version, VersionState.READY, "")


def failed(version: ModelVersion, sentence: str) -> None:
    _settle(version, VersionState.FAILED, sentence)


def _settle(version: ModelVersion, state: VersionState, sentence: str) -> None:
    waiting = ModelVersion.objects.filter(pk=version.pk, state=VersionState.WAITING)
    if waiting.update(state=state, message=sentence, files_until=None):
        _tell(version)


@transaction.atomic
def delete(version: ModelVersion, *, actor: str) -> None:
    """Its files are gone, its record stays. Raises Conflict while a job that has not ended uses it."""
    row = ModelVersion.objects.select_for_update(of=("self",)).select_related("model").get(pk=version.pk)
    if row.state == VersionState.DELETED:
        return
    if using := list(row.users.filter(state__in=UNFINISHED).values_list("name", flat=True)[:2]):
        more = " and others" if len(using) > 1 else ""
        raise Conflict(f"{row} is used by {using[0]}{more}. Wait for the end, or cancel.", code="in_use")
    now = clock.now()
    ModelVersion.objects.filter(pk=row.pk).update(state=VersionState.DELETED, deleted_at=now, files_until=None)
    Volume.objects.filter(pk=row.volume_id).update(delete_requested_at=now)
    record(actor, "model.delete_version", row.model.topic, before={"version": str(row), "sha256": row.sha256})
    _tell(row)


def _tell(version: ModelVersion) -> None:
    publish(version.model.topic, version.topic, f"models-{version.model.team_id}", f"job-{version.job_id}")

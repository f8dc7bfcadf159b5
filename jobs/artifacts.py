"""What a job left, as downloads: one file by its path, or all of them as one archive."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from environments.files import archive, disk, sending
from environments.models import Volume
from jobs.models import Artifact, Job
from jobs.states import ArtifactsState
from portal.lib import beneath
from portal.lib.errors import Conflict, NotFound


def one(request: HttpRequest, job: Job, path: str) -> HttpResponseBase:
    """Raises NotFound for what is none of its artifacts."""
    if not Artifact.objects.filter(job=job, path=path).exists():
        raise NotFound("This job left no such file.")
    names = beneath.parts(path)
    return sending.send(request, disk.read(kept(job), names), names[-1])


def all_of(job: Job) -> HttpResponseBase:
    """Raises NotFound where it left nothing."""
    files = list(Artifact.objects.filter(job=job).values_list("path", "size"))
    if not files:
        raise NotFound("This job left no files.")
    return archive.send(kept(job), files, f"{job.pk}.zip")


def kept(job: Job) -> Volume:
    """Where they lie. Raises Conflict when they are gone."""
    if job.artifacts_state == ArtifactsState.REMOVED:
        raise Conflict("Its files were deleted already.", code="removed")
    return job.volume

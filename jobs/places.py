"""A job's volume in the pages of files: to look at and download, never to change."""

from environments.files.access import Place
from environments.states import VolumeKind
from jobs import access
from jobs.access import Right
from jobs.models import Job
from portal.accounts.models import User

PREFIX = "job-"


def key_of(job: Job) -> str:
    return f"{PREFIX}{job.pk.lower()}"


def place_for(user: User, key: str) -> Place | None:
    """None where the key is none of a job. Raises NotFound or Forbidden as access.job_for."""
    if not key.startswith(PREFIX):
        return None
    job = access.job_for(user, key.removeprefix(PREFIX), Right.READ)
    volume = job.volume if job.volume.delete_requested_at is None else None
    about = "What this job worked on and left behind"
    above = (job.name, job.get_absolute_url())
    return Place(key, VolumeKind.JOB, "All files", about, "/home/berth", False, job.owner, volume, above=above)

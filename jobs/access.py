"""The only way to a job: strangers get 404, team members without the right 403."""

from collections.abc import Iterable
from enum import Flag, auto

from django.db.models import Q, QuerySet

from jobs.models import Attempt, Job
from jobs.plan_models import Schedule, Sweep
from portal.accounts import access
from portal.accounts.models import Role, User
from portal.lib import ids
from portal.lib.errors import Forbidden, Next, NotFound, Problem

JOINED = ("owner", "team", "size", "version__template", "version__image", "volume", "workspace", "snapshot")


class Right(Flag):
    """What somebody may do with a job."""

    VIEW = auto()
    """See its page, log, metrics and the list of its artifacts."""
    READ = auto()
    """Read its artifacts."""
    CANCEL = auto()
    RERUN = auto()
    """Run it again as one's own, with one's own rights."""


NONE = Right(0)
OWNER = Right.VIEW | Right.READ | Right.CANCEL | Right.RERUN
LEAD = Right.VIEW | Right.READ | Right.CANCEL | Right.RERUN
STAFF = Right.VIEW | Right.CANCEL


def visible_to(user: User) -> QuerySet[Job]:
    """Their own; as lead those of their teams, as staff everyone's."""
    rows = Job.objects.select_related(*JOINED)
    return rows if user.is_staff else rows.filter(Q(owner=user) | Q(team__in=access.leads(user)))


def jobs_of(user: User) -> QuerySet[Job]:
    return Job.objects.select_related(*JOINED).filter(owner=user)


def rights_on(user: User, job: Job | Sweep | Schedule) -> Right:
    """Owner: all. Lead of the team that pays: the same. Staff: see and cancel, not read what it made."""
    if job.owner_id == user.pk:
        return OWNER
    held = STAFF if user.is_staff else NONE
    return held | (LEAD if access.roles(user).get(job.team_id) == Role.LEAD else NONE)


def job_for(user: User, job_id: str, right: Right) -> Job:
    """Raises NotFound for strangers, Forbidden for team members who lack the right."""
    found = jobs_for(user, [job_id], right)[job_id]
    if isinstance(found, Problem):
        raise found
    return found


def jobs_for(user: User, job_ids: Iterable[str], right: Right) -> dict[str, Job | Problem]:
    """Each as it was named: the job, or what `job_for` raises. They are looked up together."""
    known = {job_id: job_id.upper() for job_id in job_ids}
    wanted = [pk for pk in known.values() if ids.PATTERN.fullmatch(pk)]
    rows = Job.objects.select_related(*JOINED).in_bulk(wanted)
    return {job_id: _allowed(user, rows.get(pk), right) for job_id, pk in known.items()}


def _allowed(user: User, job: Job | None, right: Right) -> Job | Problem:
    if job is None:
        return _unknown()
    held = rights_on(user, job)
    if right in held:
        return job
    if not held and job.team_id not in access.roles(user):
        return _unknown()
    return Forbidden(f"{job.name} belongs to {job.owner.get_full_name()}.", next_step=Next("Your jobs", "/jobs/"))


def attempt_of(job: Job, number: int) -> Attempt:
    """Raises NotFound for one that never was."""
    attempt = job.attempts.select_related("allocation__node").filter(number=number).first()
    if attempt is None:
        raise NotFound("There is no such attempt.", next_step=Next(job.name, job.get_absolute_url()))
    return attempt


def _unknown() -> NotFound:
    return NotFound("There is no such job, or it is not yours.", next_step=Next("Your jobs", "/jobs/"))

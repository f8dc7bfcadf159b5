"""Which jobs a job may wait for, when it no longer waits, and the sentences about it.

Only jobs that exist can be named, and what a job waits for never changes: so there are no circles.
"""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from jobs.access import visible_to
from jobs.models import Job
from jobs.plan_states import AfterCondition, Hold
from jobs.states import FINAL, UNFINISHED, J
from portal.accounts.models import User
from portal.lib.errors import Invalid, Next

MOST = 50
NAMED = 3
_ENDED = {J.FAILED: "failed", J.CANCELLED: "was cancelled", J.TIMED_OUT: "ran out of time", J.LOST: "was lost"}


def named(owner: User, job_ids: Sequence[str], condition: str) -> list[Job]:
    """Those jobs, each once, oldest first. Raises Invalid for what the owner may not see, and for a vain wait."""
    wanted = [job_id.upper() for job_id in dict.fromkeys(job_ids)]
    if len(wanted) > MOST:
        raise Invalid.field("after", f"A job waits for at most {MOST} others.")
    if any("\0" in one for one in wanted):
        raise Invalid.field("after", "This has a character that an id cannot have.")
    found = {job.pk: job for job in visible_to(owner).filter(pk__in=wanted)}
    for unknown in (one for one in wanted if one not in found):
        sentence = f"There is no job “{unknown[:26]}” that you may see."
        raise Invalid.field("after", sentence, next_step=Next("Your jobs", "/jobs/"))
    jobs = [found[pk] for pk in sorted(found)]
    if condition == AfterCondition.ALL_SUCCEEDED and (bad := first_bad(jobs)):
        raise Invalid.field("after", f"{bad.name} {_ENDED[J(bad.state)]} already, so this could never begin.")
    return jobs


def first_bad(jobs: Sequence[Job]) -> Job | None:
    """The first that has ended, but not well."""
    return next((job for job in jobs if job.state in FINAL and job.state != J.SUCCEEDED), None)


def wait_for(jobs: Sequence[Job], condition: str) -> str:
    """“Waits for train churn-net to succeed”; empty when there is nothing to wait for."""
    names = [job.name for job in jobs if job.state in UNFINISHED]
    if not names:
        return ""
    shown = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
    listed = f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
    return f"Waits for {listed} to {'succeed' if condition == AfterCondition.ALL_SUCCEEDED else 'end'}"


def in_vain(job: Job) -> str:
    """Why the wait of this job can no longer end well."""
    bad = first_bad(list(job.after.order_by("pk")))
    assert bad is not None
    return f"It did not run, because {bad.name} {_ENDED[J(bad.state)]}."


def done_waiting() -> QuerySet[Job]:
    """Held jobs that wait no longer; `vain`: what they waited for can no longer be."""
    before = Job.after.through.objects.filter(from_job=OuterRef("pk"))
    unfinished = Exists(before.filter(to_job__state__in=UNFINISHED))
    bad = Exists(before.filter(to_job__state__in=FINAL - {J.SUCCEEDED}))
    held = Job.objects.filter(hold=Hold.AFTER).annotate(
        vain=bad & Q(after_condition=AfterCondition.ALL_SUCCEEDED), unfinished=unfinished
    )
    return held.filter(Q(vain=True) | Q(unfinished=False)).select_related("sweep").order_by("pk")
